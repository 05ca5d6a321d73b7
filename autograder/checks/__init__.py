"""What is graded: one pytest file per exercise. The checks do not know where the answer runs."""
