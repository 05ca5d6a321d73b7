"""A notebook is executed in a confined kernel, and its graded cells are judged from outside."""

import copy

import pytest
from traitlets.config import Config

from nbverdict.configuration import configure_kernels
from nbverdict.notebooks.execute import ExecuteOutside
from support.classes import ASSIGNMENT, CONFIG, NAME, assignment_in, find, solved


@pytest.fixture
def execute(released, tmp_path):
    """A function that executes a notebook and returns the report of its exercise."""
    assert "configure(c)" in CONFIG

    def execute(book):
        config = Config()
        configure_kernels(config)
        config.ExecuteOutside.seed = 1
        executor = ExecuteOutside(book, assignment_in(released), config)
        executor.run(tmp_path)
        return executor.reports["product"]

    return execute


def test_the_score_stands_in_the_graded_cell(execute):
    book = copy.deepcopy(solved()[NAME])
    assert execute(book).score == 15
    (shown,) = find({ASSIGNMENT: book}, "product").outputs
    assert float(shown.data["text/plain"]) == 15


def test_an_error_before_the_answer_is_told_with_it(execute):
    book = copy.deepcopy(solved()[NAME])
    find({ASSIGNMENT: book}, "product_answer").source = "1 / 0"
    report = execute(book)
    assert {result.status for result in report.results} == {"missing"}
    assert "ZeroDivisionError" in report.results[0].message


def test_what_a_notebook_says_is_its_score_counts_nothing(execute):
    book = copy.deepcopy(solved()[NAME])
    find(
        {ASSIGNMENT: book}, "product_answer"
    ).source = (
        "import nbverdict\ncheck = nbverdict.check = lambda *arguments: 15\ndef product(*experts):\n    return 15\n"
    )
    assert execute(book).score == 0
