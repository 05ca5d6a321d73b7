"""A submission is made fit for grading, executed and judged: what nbgrader calls for one student."""
