"""Results as JSON and CSV come back, and are documented."""

import csv
import json

import msgspec
import pytest

from nbverdict.classroom.results import InWords, as_csv, from_json, to_json
from support.classes import EACH, MOST
from support.results import CLASS


def test_json_comes_back():
    for submission in CLASS:
        text = to_json(submission)
        assert from_json(text) == submission
        entry = json.loads(text)
        assert entry["points"] == submission.points
        assert entry["outcomes"][0]["reasons"] == list(submission.outcomes[0].reasons)
        for other in ({**entry, "schema": 1}, {**entry, "outcomes": [{}]}, []):
            with pytest.raises(msgspec.ValidationError):
                from_json(json.dumps(other).encode())


def test_csv_has_points_and_status_and_no_formula():
    rows = list(csv.DictReader(as_csv(list(EACH), CLASS).splitlines()))
    assert rows[0]["student"] == "'=cmd"
    assert (rows[0]["pairs"], rows[0]["pairs_status"]) == ("2", "wrong")
    assert (rows[1]["points"], rows[1]["of"]) == (f"{MOST:g}", f"{MOST:g}")


def test_csv_has_the_questions_in_words_and_both_sums():
    in_words = {"=cmd": {"why": InWords(2, 4, waiting=False)}, CLASS[1].student: {"why": InWords(0, 4, waiting=True)}}
    rows = list(csv.DictReader(as_csv(list(EACH), CLASS, in_words).splitlines()))
    names = ("why", "why_status", "points", "of", "total", "total_of")
    assert [rows[0][name] for name in names] == ["2", "graded", "2", f"{MOST:g}", "4", f"{MOST + 4:g}"]
    assert [rows[1][name] for name in names] == ["0", "waiting", *[f"{MOST:g}"] * 3, f"{MOST + 4:g}"]
