"""Charts of evaluations as files, SVG with its text as text or PNG, in the style of `canvas`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.canvas import COLOURS, DASHES, GREY, HATCHES, MARKERS, PALE, check_suffix, drawing, legend, wrapped
from trainer.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

MOST_CLASSES = 20
"""Classes of a map that get a mark of their own."""
_MOST_LEVEL_FIGURES = 20
"""Where there are more bars, their figures are written upright."""
_LAYER_LETTERS = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A mean accuracy at a number of labels."""

    labels_per_class: int
    accuracy: float
    """Mean over the seeds, 0 to 1."""
    interval: tuple[float, float] | None = None
    """Ends of its 95 % interval, 0 to 1; None where one seed gives none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """The accuracy of one protocol on one layer over the number of labels."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """A figure that depends on nothing on the x axis, such as a baseline or chance: a dashed line across the chart."""

    name: str
    value: float
    """In the unit of the chart's values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BarSeries:
    """One bar in each group of a bar chart."""

    name: str
    values: tuple[float | None, ...]
    """By group; None where there is no figure."""
    intervals: tuple[tuple[float, float] | None, ...] = ()
    """Ends of the 95 % interval by group; empty where there are none."""


def label_curve(curves: Sequence[Curve], *, title: str, path: Path, baselines: Sequence[Level] = ()) -> None:
    """Accuracy over the number of labels per class, on a logarithmic axis whose ticks are the numbers themselves.

    Args:
        curves: one line each, with a band for its intervals, or a bar where it is a single point.
        title: written above.
        path: ends in .svg or .png.
        baselines: accuracies, 0 to 1, that are drawn as dashed lines.

    Raises:
        UsageError: the path has another suffix, or there is nothing to draw.
        OSError: the file can't be written; what was there before is untouched.
    """
    check_suffix(path)
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        raise UsageError(f"{path} would be empty, since no accuracy was measured; evaluate the run first")
    with drawing(title, path, width_inches=8.0) as axes:
        entries = [(_draw_curve(axes, curve, number), curve.name) for number, curve in enumerate(drawn)]
        entries += _draw_levels(axes, baselines, scale=100)
        axes.set_xscale("log")
        _number_ticks(axes, {point.labels_per_class for curve in drawn for point in curve.points})
        axes.set_xlabel("labels per class")
        axes.set_ylabel("accuracy on test, %")
        legend(axes, entries)


def scatter_map(
    x: "ArrayLike", y: "ArrayLike", labels: "ArrayLike", classes: Sequence[str], *, title: str, path: Path
) -> None:
    """Images as points in two dimensions, each class with a colour and a shape of its own.

    Args:
        x: (N,), where the images lie.
        y: (N,).
        labels: int (N,), -1 where an image has none.
        classes: names by label; where there are more than MOST_CLASSES, the ones with the most images get a mark of
            their own and the others are grey together.
        title: written above.
        path: ends in .svg or .png.

    Raises:
        UsageError: the path has another suffix, or there is nothing to draw.
        OSError: the file can't be written; what was there before is untouched.
    """
    import numpy as np

    check_suffix(path)
    x_N, y_N, labels_N = np.asarray(x), np.asarray(y), np.asarray(labels)
    if not len(x_N):
        raise UsageError(f"{path} would be empty, since no image has a place on the map; make the map first")
    area = float(np.clip(30_000 / len(x_N), 8, 40))
    with drawing(title, path, width_inches=7.5, height_inches=6.0) as axes:
        entries = []
        for name, members, colour, marker in _marks(labels_N.tolist(), classes):
            mask_N = np.isin(labels_N, members)
            points = axes.scatter(
                x_N[mask_N],
                y_N[mask_N],
                area,
                color=colour,
                marker=marker,
                alpha=0.8,
                linewidths=0.3,
                edgecolors="white",
            )
            entries.append((points, name))
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color="#DDDDDD")
        legend(axes, entries)


def layer_bars(
    layers: Sequence[str],
    series: Sequence[BarSeries],
    *,
    axis: str,
    percent: bool,
    title: str,
    path: Path,
    levels: Sequence[Level] = (),
) -> None:
    """A group of bars for each layer: its accuracy by each protocol, or what it still tells about each augmentation.

    Args:
        layers: names of the groups, from left to right.
        series: one bar in each group; as many values as there are layers.
        axis: what the values are.
        percent: whether values and levels are parts of 1 to be shown in %.
        title: written above.
        path: ends in .svg or .png.
        levels: values such as chance that are drawn as dashed lines.

    Raises:
        UsageError: the path has another suffix, or there is nothing to draw.
        OSError: the file can't be written; what was there before is untouched.
    """
    check_suffix(path)
    if not any(value is not None for one in series for value in one.values):
        raise UsageError(f"{path} would be empty, since no layer was scored; evaluate the run first")
    scale = 100 if percent else 1
    bars = len(layers) * len(series)
    with drawing(title, path, width_inches=max(7.0, 3.0 + 0.25 * bars)) as axes:
        width = 0.8 / len(series)
        entries = []
        for number, one in enumerate(_scaled(one, scale) for one in series):
            places = [group + (number - (len(series) - 1) / 2) * width for group in range(len(layers))]
            entries.append((_draw_bars(axes, one, places, width, number), one.name))
            _write_values(axes, one, places, 1 if percent else 2, upright=bars > _MOST_LEVEL_FIGURES)
        entries += _draw_levels(axes, levels, scale=scale)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xticks(range(len(layers)), [wrapped(layer, _LAYER_LETTERS) for layer in layers])
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(axis)
        axes.margins(y=0.12)
        legend(axes, entries)


def _marks(labels: Sequence[int], classes: Sequence[str]) -> list[tuple[str, list[int], str, str]]:
    """Name, labels, colour and marker of each group of a map that has images, those that lie below first."""
    images = Counter(labels)
    present = [label for label in range(len(classes)) if images[label]]
    own = sorted(sorted(present, key=lambda label: -images[label])[:MOST_CLASSES])
    others = [label for label in present if label not in own]
    marks = [("no label", [-1], PALE, "o")] if images[-1] else []
    marks += [(f"{len(others)} other classes", others, GREY, ".")] if others else []
    return marks + [
        (classes[label], [label], COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)])
        for number, label in enumerate(own)
    ]


def _draw_curve(axes: "Axes", curve: Curve, number: int) -> "Artist":
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    points = sorted(curve.points, key=lambda point: point.labels_per_class)
    x, y = [point.labels_per_class for point in points], [100 * point.accuracy for point in points]
    dashes = "-" if number < len(COLOURS) else DASHES[-1]
    (line,) = axes.plot(x, y, color=colour, marker=marker, markersize=4.5, linewidth=1.5, linestyle=dashes)
    with_interval = [(point.labels_per_class, point.interval) for point in points if point.interval]
    places = [place for place, _ in with_interval]
    low, high = ([100 * interval[end] for _, interval in with_interval] for end in (0, 1))
    axes.vlines(places, low, high, color=colour, linewidth=1)
    if len(with_interval) == len(points):
        axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)
    return line


def _draw_bars(axes: "Axes", series: BarSeries, places: Sequence[float], width: float, number: int) -> "Artist":
    """The bars of one series with their intervals; where there is no figure, none."""
    colour, hatch = COLOURS[number % len(COLOURS)], HATCHES[number % len(HATCHES)]
    heights = [value or 0 for value in series.values]
    bars = axes.bar(places, heights, 0.92 * width, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    for place, interval in zip(places, series.intervals, strict=False):
        if interval is not None:
            axes.vlines([place], [interval[0]], [interval[1]], color="black", linewidth=1)
    return bars.patches[0]


def _write_values(axes: "Axes", series: BarSeries, places: Sequence[float], digits: int, *, upright: bool) -> None:
    """The figures at the ends of their bars and intervals; a dash where there is none."""
    for place, value, interval in zip_longest(places, series.values, series.intervals):
        ends = (*(interval or ()), value or 0)
        below = value is not None and value < 0
        axes.annotate(
            "–" if value is None else f"{value:.{digits}f}".replace("-", "−"),
            (place, min(ends) if below else max(ends)),
            xytext=(0, -2 if below else 2),
            textcoords="offset points",
            horizontalalignment="center",
            verticalalignment="top" if below else "bottom",
            rotation=90 if upright and value is not None else 0,
            fontsize=7,
        )


def _scaled(series: BarSeries, scale: float) -> BarSeries:
    return BarSeries(
        name=series.name,
        values=tuple(None if value is None else scale * value for value in series.values),
        intervals=tuple(None if ends is None else (scale * ends[0], scale * ends[1]) for ends in series.intervals),
    )


def _draw_levels(axes: "Axes", levels: Sequence[Level], *, scale: float) -> "list[tuple[Artist, str]]":
    return [
        (axes.axhline(scale * level.value, color=GREY, linewidth=1.2, linestyle=dashes), level.name)
        for level, dashes in zip(levels, cycle(DASHES))
    ]


def _number_ticks(axes: "Axes", numbers: set[int]) -> None:
    """Ticks at these numbers of a logarithmic axis; of two whose texts would touch, the smaller one has none."""
    shown: list[int] = []
    room = (max(numbers) / min(numbers)) ** (1 / 18)
    for number in sorted(numbers, reverse=True):
        if not shown or shown[-1] >= number * room:
            shown.append(number)
    axes.set_xticks(shown, [str(number) for number in shown])
    axes.set_xticks([], minor=True)
