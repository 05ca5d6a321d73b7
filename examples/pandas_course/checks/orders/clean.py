"""Checks of `clean`: a table made fit for use."""

import pandas as pd
import pytest
from tables import orders

from nbverdict.checks.diagnosis import Mistake, compare

EXERCISE = {"answer": "clean"}


def right(table, *, spelling=True, twice=False, gaps=False, index=True):
    if spelling:
        table = table.assign(town=table["town"].str.strip().str.title())
    if not twice:
        table = table.drop_duplicates()
    if not gaps:
        table = table.dropna(subset="item")
    return table.reset_index(drop=True) if index else table


@pytest.mark.points(3)
def test_clean(clean, rng):
    """Towns in one spelling, each row once, none without an item, numbered from 0."""
    table = orders(rng)
    given = table.copy()
    mistakes = [
        Mistake("rows that are there twice are kept", "drop_duplicates", right(table, twice=True)),
        Mistake("rows without an item are kept", "dropna(subset='item')", right(table, gaps=True)),
        Mistake("the towns keep their spelling", ".str.strip().str.title()", right(table, spelling=False)),
        Mistake("the index is not new", "reset_index(drop=True)", right(table, index=False)),
    ]
    compare("table", clean(given), right(table), mistakes=mistakes, cause="another table", hint="One step at a time.")


@pytest.mark.points(1)
def test_input_stays(clean, rng):
    """The table that was given stays as it is."""
    table = pd.DataFrame(orders(rng))
    once = clean(table)
    compare("a second call", clean(table), once, cause="the table that was given is changed", hint="No inplace=True.")
