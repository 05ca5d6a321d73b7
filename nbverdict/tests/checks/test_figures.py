"""A plot as a check sees it."""

import pytest

from nbverdict.checks.diagnosis import Wrong
from nbverdict.checks.figures import Drawn, seen

Figure = pytest.importorskip("matplotlib.figure", reason="matplotlib is not installed").Figure


def test_lines_bars_points_and_pictures_are_described():
    figure = Figure(figsize=(4, 3))
    one, two = figure.subplots(1, 2)
    one.plot([0, 1], [2, 3], label="a")
    one.plot([0, 1], [4, 5])
    one.scatter([1], [2], label="p")
    one.legend()
    two.bar(["ada", "bob"], [3, 1])
    two.imshow([[0, 1]])
    figure.suptitle("both")
    found = seen(figure)
    assert (found.size, found.title) == ((4, 3), "both")
    assert found.axes[0].all("line") == (Drawn("line", "a", (0, 1), (2, 3)), Drawn("line", "", (0, 1), (4, 5)))
    assert found.axes[0].all("points") == (Drawn("points", "p", (1,), (2,)),)
    assert found.axes[0].legend == ("a", "p")
    (bars,) = found.axes[1].all("bars")
    assert (bars.y, bars.width, found.axes[1].xticks) == ((3, 1), (0.8, 0.8), ("ada", "bob"))
    assert len(found.axes[1].all("image")) == 1
    assert seen(found) is found


def test_what_is_no_plot_is_refused():
    with pytest.raises(Wrong, match="the result is no plot"):
        seen(3)
