"""What of a course decides a grade, as hashes."""

from nbverdict.classroom.gathering import what_differs


def test_which_part_has_changed_is_told_where_both_digests_are_known():
    assert what_differs("a-b-c-d", "a-B-c-D") == ["release", "checks or grader"]
    assert [what_differs(*pair) for pair in (("", ""), ("", "a-b-c-d"), ("older", "older form"))] == [[], [], []]
