"""A submission is made fit for grading, executed and judged: what nbgrader calls for one student."""

from nbverdict.imports import without_address_grammar

with without_address_grammar():
    import nbformat  # noqa: F401  # which imports jsonschema
