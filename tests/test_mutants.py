"""Right answers with one change lose points, and the benchmark that says so would notice if they did not."""

import pytest

from benchmarks import mutants
from nbverdict.checks.report import Report
from tests.answers import product_of_experts
from tests.conftest import ALL_EXERCISES, EXERCISES

EVERY = 25  # the benchmark grades all of them


def equivalent(exercise):
    return [change for changes in mutants.equivalents()[exercise].values() for change in changes]


@pytest.mark.parametrize("exercise", ALL_EXERCISES)
def test_a_sample_of_mutants_loses_points(exercise):
    verdicts = [mutants.judge(mutant) for mutant in mutants.mutants(exercise, EVERY)]
    assert len(verdicts) >= 10
    assert mutants.row(verdicts, equivalent(exercise))["holes"] == []


def test_checks_of_the_shape_alone_leave_holes():
    def careless(exercise, answer, *, seed):
        report = mutants.check(exercise, answer, seed=seed)
        shapes = tuple(result for result in report.results if "shape" in result.name or "Vectors" in result.name)
        return Report(exercise, shapes, seed)

    found = [mutants.judge(mutant, 1, careless) for mutant in mutants.mutants("product_of_experts", EVERY)]
    row = mutants.row(found, equivalent("product_of_experts"))
    assert row["score"] < 0.9
    assert row["mutants"] == row["killed"] + row["equivalent"] + len(row["holes"])
    assert f"| product_of_experts | {row['mutants']} |" in mutants.page({"product_of_experts": row})


def test_a_line_that_excuses_no_mutant_is_reported():
    verdict = mutants.Verdict(mutants.Mutant("product_of_experts", "answer: a + b → b + a", None), (), False)
    assert mutants.unused([verdict], ["answer: a + b → b + a", "/a . b → b/"]) == []
    assert mutants.unused([verdict], ["/a . c/", "answer: a"]) == ["/a . c/", "answer: a"]


def test_what_an_answer_uses_is_mutated_with_it_and_nothing_else_is():
    def names(answer):
        return [definition.name for definition in mutants.definitions(answer)]

    assert names(product_of_experts.returned_variance) == ["softmax_weights", "returned_variance"]
    assert names(product_of_experts.softmax_weights) == ["softmax_weights"]  # its `weights` are its own
    for exercise in EXERCISES:
        notebook = mutants.right_answers(exercise)["solution"]
        assert names(notebook)[-1] == notebook.__name__
