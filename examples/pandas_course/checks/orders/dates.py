"""Checks of `to_dates`: dates from text."""

import pandas as pd
import pytest

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "to_dates"}


@pytest.mark.points(2)
def test_dates(to_dates, rng):
    """The day comes first."""
    days, months = rng.integers(1, 13, 5), rng.integers(1, 13, 5)
    texts = pd.Series([f"{day:02}.{month:02}.2026" for day, month in zip(days, months, strict=True)])
    right = pd.to_datetime(texts, format="%d.%m.%Y")
    swapped = Mistake("the month is read first", "format='%d.%m.%Y'", pd.to_datetime(texts, format="%m.%d.%Y"))
    compare("dates", to_dates(texts), right, mistakes=[swapped], cause="other dates", hint="format='%d.%m.%Y'")


@pytest.mark.points(1)
def test_no_date(to_dates):
    """What is no date becomes NaT."""
    texts = pd.Series(["01.02.2026", "yesterday"])
    right = pd.Series([pd.Timestamp(2026, 2, 1), pd.NaT])
    compare("dates", to_dates(texts), right, cause="NaT is missing", hint="errors='coerce'")
