"""A verdict is plain data, and the same as JSON and as a table."""

import json

from nbverdict.notebooks.verdict import Verdict
from support.results import CLASS


def test_a_verdict_adds_up_and_shows_each_cause_with_its_message():
    verdict = Verdict("gauss", CLASS[0].outcomes, ("3_entropy",))
    assert (verdict.points, verdict.max_points) == (2, 42)
    entry = json.loads(verdict.to_json())
    assert entry["outcomes"][0]["checks"][1]["finding"]["expected"] == "0"
    lines = str(verdict).splitlines()
    at = lines.index("    bad <b> (-1): a <script>")
    assert lines[at + 1 : at + 3] == ["        expected: 0", "        got: 1"]
    assert "    3_entropy.ipynb was not handed in." in lines
    assert lines[-1].split() == ["total", "2/42"]
