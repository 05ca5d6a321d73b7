"""The orders that the checks hand to an answer: made up, and other ones in each run."""

import numpy as np
import pandas as pd

TOWNS = ("Ulm", "Bonn", "Kiel")


def orders(rng: np.random.Generator) -> pd.DataFrame:
    """Return orders as a cash desk writes them: towns in any spelling, rows twice, an item missing."""
    count = 12
    table = pd.DataFrame(
        {
            "town": rng.choice(TOWNS, count),
            "item": rng.choice(["tea", "cake"], count),
            "price": rng.integers(1, 9, count) + 0.5,
            "count": rng.integers(1, 5, count),
        }
    )
    table["town"] = [f" {town.upper()}" if i % 2 else f"{town.lower()}  " for i, town in enumerate(table["town"])]
    table.loc[3, "item"] = None
    return pd.concat([table, table.iloc[[0, 5]]])


def revenue(rng: np.random.Generator) -> pd.Series:
    """Return the revenue of three towns, largest first."""
    values = np.sort(rng.integers(100, 900, 3))[::-1] + 0.5
    return pd.Series(values, index=pd.Index(TOWNS, name="town"), name="revenue")
