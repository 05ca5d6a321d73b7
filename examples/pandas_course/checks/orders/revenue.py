"""Checks of `revenue_per_town`: a sum over groups."""

import pytest
from tables import orders

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "revenue_per_town"}


@pytest.mark.points(3)
def test_revenue(revenue_per_town, rng):
    """Price times count, added for each town, the largest first."""
    table = orders(rng).assign(town=lambda t: t["town"].str.strip().str.title())

    def grouped(values, how="sum"):
        return values.groupby(table["town"]).agg(how).sort_values(ascending=False).rename("revenue")

    times = table["price"] * table["count"]
    hint = "(price * count), then groupby('town').sum()"
    mistakes = [
        Mistake("the count is forgotten", hint, grouped(table["price"])),
        Mistake("this is the mean of each town, not the sum", hint, grouped(times, "mean")),
        Mistake("the smallest comes first", "sort_values(ascending=False)", grouped(times).sort_values()),
    ]
    found = revenue_per_town(table)
    right = grouped(times)
    found = found.rename("revenue") if hasattr(found, "rename") else found
    compare("revenue", found, right, mistakes=mistakes, cause="another revenue", hint=hint)
