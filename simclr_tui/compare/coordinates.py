"""The settings that differ and what came of them as parallel coordinates: of a sweep, which way it pulls. Pure."""

import math
from collections.abc import Sequence

from simclr_tui.compare.settings import DIFFERENT, SPEED_ONLY
from simclr_tui.compare.table import Better, Cell, Comparison, Line
from simclr_tui.plot.coordinates import Axis, Coordinates, Course

_RESULTS = ("loss, last epoch", "kNN, best", "h, linear")
"""Rows of the table that say what came of a run, the most telling last."""

_ARROWS = {Better.HIGHER: " ↑", Better.LOWER: " ↓", Better.NEITHER: ""}
_LOG_FROM = 20.0
"""Values above 0 lie on a logarithmic axis where the highest is so many times the lowest."""

_MOST_WORDS = 6
"""Of an axis of numbers each value is named up to so many, else the two ends."""

_EQUAL = "the runs differ in no setting that can change a result, so there is nothing to set results against"
_UNSCORED = "no result that can be compared tells these runs apart so far"


def coordinates(comparison: Comparison) -> Coordinates:
    """An axis for each setting that differs and can change a result, and for each result that can be compared."""
    settings = [line for line in _lines_of(comparison, DIFFERENT) if SPEED_ONLY not in line.note]
    if not settings:
        return Coordinates(empty=_EQUAL)
    lines = {line.name: line for group in comparison.groups for line in group.lines if group.title != DIFFERENT}
    results = [lines[name] for name in _RESULTS if name in lines and _tells_apart(lines[name])]
    if not results:
        return Coordinates(empty=_UNSCORED)
    placed = [_placed(line) for line in (*settings, *results)]
    courses = [
        Course(one.sign, one.ink, [places[number] for _, places in placed], one.name)
        for number, one in enumerate(comparison.headings)
    ]
    axes = [
        Axis(f"{line.title}{_ARROWS[line.better]}", labels, is_result=line in results)
        for line, (labels, _) in zip((*settings, *results), placed, strict=True)
    ]
    return Coordinates(axes, courses[::-1])  # the reference over the others


def _lines_of(comparison: Comparison, title: str) -> Sequence[Line]:
    return next((group.lines for group in comparison.groups if group.title == title), ())


def _tells_apart(line: Line) -> bool:
    """Whether its values can be compared and one of them is the best."""
    return any(cell.is_best for cell in line.cells)


def _placed(line: Line) -> tuple[list[tuple[float, str]], list[float | None]]:
    """The labels of a row's axis, and the place of each run on it."""
    values = [cell.value for cell in line.cells]
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return _numbers(line.cells)
    words = sorted({cell.text for cell in line.cells if cell.value is not None})
    places = {word: (order + 0.5) / len(words) for order, word in enumerate(words)}
    labels = [(place, word) for word, place in places.items()]
    return labels, [None if cell.value is None else places[cell.text] for cell in line.cells]


def _numbers(cells: Sequence[Cell]) -> tuple[list[tuple[float, str]], list[float | None]]:
    values = [float(cell.value) if isinstance(cell.value, int | float) else math.nan for cell in cells]
    known = sorted({value for value in values if math.isfinite(value)})
    if not known:
        return [], [None] * len(values)
    low, high = known[0], known[-1]
    is_log = low > 0 and high / low >= _LOG_FROM

    def place(value: float) -> float:
        if high == low:
            return 0.5
        a, b, c = (math.log(x) for x in (low, value, high)) if is_log else (low, value, high)
        return (b - a) / (c - a)

    texts = {value: cell.text for value, cell in zip(values, cells, strict=True)}
    named = known if len(known) <= _MOST_WORDS else [low, high]
    labels = [(place(value), texts[value]) for value in (*named[:1], *named[:0:-1])]
    return labels, [place(value) if math.isfinite(value) else None for value in values]
