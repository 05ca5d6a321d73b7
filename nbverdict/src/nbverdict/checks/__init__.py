"""What reaches the verdict: answers, comparisons, causes, running the checks, reports. It names no assignment."""
