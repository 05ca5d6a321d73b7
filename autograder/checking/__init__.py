"""What decides: an answer to call, comparing, causes, running the checks, the report. It knows no assignment."""
