"""What a regrade changes, as lines and as a sentence."""

from nbverdict.classroom.changes import as_diff, changes, summary
from nbverdict.classroom.results import Outcome, Submission
from support.results import CLASS

BEFORE, AFTER = CLASS[0], Submission("=cmd", "e", (Outcome("pairs", "passed", 12, 12), *CLASS[0].outcomes[1:]))


def test_a_change_is_told_exercise_by_exercise():
    assert [change.points for change in changes(BEFORE, AFTER)] == [10]
    assert changes(None, AFTER) == []
    lines = list(as_diff(BEFORE, AFTER))
    assert lines[0].startswith("=cmd  2 -> 12 of 42")
    assert lines[1] == "    pairs  2 -> 12"
    assert "      good: 2/2 -> no check" in lines  # it was passed, and is gone: no cause
    assert list(as_diff(None, AFTER)) == ["=cmd  12/42, not graded before"]
    said = summary([(BEFORE, AFTER), (None, AFTER)])
    assert said == ("1 of 2 submissions would change: 1 gain 10 points, 0 lose 0; 1 would be graded for the first time")
