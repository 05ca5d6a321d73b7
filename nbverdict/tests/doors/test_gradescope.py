"""What Gradescope is told."""

from nbverdict.doors.gradescope import as_gradescope
from support.results import CLASS


def test_gradescope_has_a_test_for_each_check():
    result = as_gradescope(CLASS[0].outcomes)
    assert result["score"] == 2
    assert [test["score"] for test in result["tests"]] == [2, 0, 0, 0]
    assert sum(test["max_score"] for test in result["tests"]) == 3 + 15 + 15
    assert result["tests"][1]["status"] == "failed"
    assert "likely cause" in result["tests"][1]["output"]
