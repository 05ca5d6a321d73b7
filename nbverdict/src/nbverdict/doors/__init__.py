"""Who asks for a verdict: programs other than nbgrader, a file for each."""
