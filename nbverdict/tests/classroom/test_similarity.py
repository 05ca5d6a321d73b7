"""Answers that share passages are found, and what the release has counts nothing."""

import pytest

from nbverdict.classroom.similarity import Answer, find_pairs

pytest.importorskip("copydetect", reason="the extra `similar` is not installed")
LONG = "\n".join(f"    total = total + {name} * weight_{name}" for name in "abcdefghij")


def test_a_copy_is_found_and_the_text_of_the_release_is_none():
    copied = [Answer(student, "product", "code", f"def product(x):\n{LONG}\n") for student in ("ada", "bob")]
    other = Answer("eve", "product", "code", "def product(x):\n    return sorted(set(x))[::-1]\n")
    pairs = find_pairs([*copied, other], {})
    assert [(pair.first.student, pair.second.student) for pair in pairs] == [("ada", "bob")]
    assert find_pairs([*copied, other], {"product": f"def product(x):\n{LONG}\n"}) == []
