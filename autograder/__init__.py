"""Checks for the exercises of the lab: `check("product_of_experts", product_of_experts)`."""

from autograder.grading import check

__all__ = ["check"]
