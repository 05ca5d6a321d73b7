"""Checks of `parse_price`: a number from a text, and an exception."""

import math

import pytest

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "parse_price"}


@pytest.mark.points(1)
def test_price(parse_price, rng):
    """A price with a comma, and with the sign of the euro or without."""
    euros, cents = int(rng.integers(1, 1000)), int(rng.integers(10, 100))
    hint = "Replace the comma by a point before you call float."
    for text in (f"{euros},{cents} €", f"{euros},{cents}"):
        cents_lost = Mistake("the cents are lost", hint, float(euros))
        without_comma = Mistake("the comma is left out, not read", hint, float(f"{euros}{cents}"))
        right = float(f"{euros}.{cents}")
        compare("price", parse_price(text), right, mistakes=[cents_lost, without_comma], cause="wrong", hint=hint)


@pytest.mark.points(1)
@pytest.mark.parametrize("text", ["", "free", "3,5,1"])
def test_no_price(parse_price, text):
    """What is no price raises a ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  (the words are the student's own)
        assert not math.isnan(parse_price(text)), "nan is returned where there is no price"
