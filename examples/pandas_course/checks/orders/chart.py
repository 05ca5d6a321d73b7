"""Checks of `chart`: a plot."""

import pytest
from tables import revenue

from nbverdict.checks.diagnosis import Wrong, compare
from nbverdict.checks.figures import seen

EXERCISE = {"answer": "chart"}


@pytest.mark.points(2)
def test_bars(chart, rng):
    """A bar for each town, as high as its revenue."""
    values = revenue(rng)
    axes = seen(chart(values)).axes[0]
    if not axes.all("bars"):
        drawn = ", ".join(sorted({one.kind for one in axes.drawn})) or "nothing"
        raise Wrong(expected="bars", got=drawn, cause=f"the figure shows {drawn}, and no bars", hint="axes.bar")
    compare("heights", axes.all("bars")[0].y, values.to_list(), cause="other heights", hint="axes.bar(names, values)")
    compare("names", list(axes.xticks), list(values.index), cause="other names", hint="axes.bar(names, values)")


@pytest.mark.points(1)
def test_unit(chart, rng):
    """The y axis says what it shows, with the unit."""
    label = seen(chart(revenue(rng))).axes[0].ylabel
    if "€" not in label:
        raise Wrong(expected="a label with €", got=repr(label), cause="the y axis has no unit", hint="set_ylabel")
