"""A plot as a check sees it: titles, labels and data of what was drawn, as plain data.

An answer may return a figure or axes of matplotlib. A check is given these descriptions in grading, where the plot
itself stays in the student's process. In a notebook, `seen` makes the same from the plot, so that a check is the same
in both places.
"""

import sys
from dataclasses import dataclass
from typing import Any

from nbverdict.checks.diagnosis import Wrong, describe


@dataclass(frozen=True)
class Drawn:
    """What is drawn in axes: a line, bars, points, or a picture."""

    kind: str  # "line", "bars", "points", "image"
    label: str  # of the legend; empty if it has none
    x: tuple[float, ...]  # of points, or where bars begin; empty for a picture
    y: tuple[float, ...]  # of points, or how high bars are
    width: tuple[float, ...] = ()  # of bars


@dataclass(frozen=True)
class Axes:
    """One pair of axes."""

    title: str
    xlabel: str
    ylabel: str
    xscale: str  # "linear", "log", ...
    yscale: str
    xlim: tuple[float, float]
    ylim: tuple[float, float]
    xticks: tuple[str, ...]  # labels of categories; empty where they are numbers
    legend: tuple[str, ...]
    drawn: tuple[Drawn, ...]

    def all(self, kind: str) -> tuple[Drawn, ...]:
        """Return what is drawn of a kind, in the order in which it was drawn."""
        return tuple(one for one in self.drawn if one.kind == kind)

    @classmethod
    def of(cls, axes: Any) -> "Axes":
        """Return the description of matplotlib's axes."""
        legend = axes.get_legend()
        texts = [text.get_text() for text in legend.get_texts()] if legend else []
        ticks = getattr(axes.xaxis.get_major_formatter(), "_units", None) or {}
        return cls(
            axes.get_title(),
            axes.get_xlabel(),
            axes.get_ylabel(),
            axes.get_xscale(),
            axes.get_yscale(),
            _numbers(axes.get_xlim()),  # type: ignore[arg-type]
            _numbers(axes.get_ylim()),  # type: ignore[arg-type]
            tuple(map(str, ticks)),
            tuple(texts),
            tuple(_drawn(axes)),
        )


@dataclass(frozen=True)
class Figure:
    """A whole figure."""

    size: tuple[float, float]  # inches
    title: str  # of the figure as a whole
    axes: tuple[Axes, ...]

    @classmethod
    def of(cls, figure: Any) -> "Figure":
        """Return the description of matplotlib's figure."""
        width, height = map(float, figure.get_size_inches())
        return cls((width, height), figure.get_suptitle(), tuple(Axes.of(axes) for axes in figure.axes))


def seen(plot: Any) -> Figure | Axes:
    """Return what a check may ask of a figure or of axes, whether they are matplotlib's or described already.

    Raises Wrong for anything else.
    """
    if isinstance(plot, Figure | Axes):
        return plot
    if "matplotlib.figure" in sys.modules:
        from matplotlib.axes import Axes as TheirAxes
        from matplotlib.figure import Figure as TheirFigure

        if isinstance(plot, TheirFigure):
            return Figure.of(plot)
        if isinstance(plot, TheirAxes):
            return Axes.of(plot)
    raise Wrong(
        expected="a figure or axes of matplotlib",
        got=describe(plot),
        cause="the result is no plot",
        hint="Return the figure, or the axes, that you draw in.",
    )


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(one) for one in values)


def _label(artist: Any) -> str:
    label = str(artist.get_label())
    return "" if label.startswith("_") else label


def _drawn(axes: Any) -> list[Drawn]:
    found = []
    for line in axes.lines:
        found.append(Drawn("line", _label(line), _numbers(line.get_xdata(False)), _numbers(line.get_ydata(False))))
    for bars in axes.containers:
        boxes = [bar for bar in bars if hasattr(bar, "get_height")]
        if boxes:
            places, heights, widths = zip(*((b.get_x(), b.get_height(), b.get_width()) for b in boxes), strict=True)
            found.append(Drawn("bars", _label(bars), _numbers(places), _numbers(heights), _numbers(widths)))
    for points in axes.collections:
        places = points.get_offsets()
        if len(places) and type(points).__name__ == "PathCollection":
            found.append(Drawn("points", _label(points), _numbers(places[:, 0]), _numbers(places[:, 1])))
    found += [Drawn("image", _label(image), (), ()) for image in axes.images]
    return found
