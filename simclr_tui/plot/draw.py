"""From chart data to rows of inked text: axes, curves, bands, marks and the chance line. Pure.

An ink is the name of a colour, not a colour: the widget looks it up in the theme.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from simclr_tui.format import tick
from simclr_tui.plot.braille import CELL_HEIGHT, CELL_WIDTH, Canvas
from simclr_tui.plot.series import Sample, Scale, log_ticks, recalled, reduce, ticks, time_tick, time_ticks, within

Row = list[tuple[str, str]]
"""The cells of a line of text, each a character and its ink."""

_TICK_WIDTH = 9
_NAME_PART = 3
"""The name of x takes up to that part of the width."""
_STROKES = {"mark": ("┆", ""), "warning": ("┇", "▲ "), "error": ("┇", "✖ ")}
"""How a mark of each ink is drawn, and the sign before its word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One curve, or the band between the lowest and the highest values of one."""

    samples: Sequence[Sample]
    ink: str
    sign: str = ""
    """Put where the curve ends, so that curves can be told apart without colour."""
    band: bool = False
    max_gap: float = math.inf
    """Samples further apart on x are not joined: nothing was measured between them."""
    gaps: Sequence[float] = ()
    """Where on x, in order, the curve is broken: values that were not finite, pauses."""
    points: bool = False
    """Each sample is a measurement of its own: it has the sign, and a bar from its lowest to its highest value."""
    name: str = ""
    """Of what it is the curve, where its values can be read off; a band and a stretch before a fork have none."""
    raw: Sequence[Sample] = ()
    """What was measured, where `samples` are smoothed: what is read off comes from here."""
    key: str = ""
    """Whose curve it is, for whoever reads it off: of many runs two have the same ink and sign."""


class Mark(NamedTuple):
    """Something that happened, at its place on x."""

    x: float
    word: str
    ink: str = "mark"
    """mark, warning or error, by the level of what happened."""
    sign: str = ""
    """Of the curve that it is of, where there are several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartData:
    """Everything that a chart shows."""

    title: str
    lines: Sequence[Line] = ()
    legend: Sequence[tuple[str, str]] = ()
    """Texts with their inks, shown beside the title."""
    empty: str = ""
    """Why there is no curve yet."""
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    x_name: str = ""
    x_ticks: Sequence[float] = ()
    """Where x is labelled; round values if there is none."""
    x_log: bool = False
    x_seconds: bool = False
    """x is a time, and labelled by units that people count time in."""
    own_x: bool = False
    """x is this chart's alone: the window and the cursor of the others don't apply to it."""
    log: bool = False
    chance: tuple[float, str] | None = None
    levels: Sequence[tuple[float, str]] = ()
    """Further dashed lines across the chart."""
    marks: Sequence[Mark] = field(default_factory=tuple)
    """Where on x something happened to the run, and in a word what."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in the rows of a chart values lie."""

    gutter: int
    """Cells before the curves."""
    x_scale: Scale
    y_scale: Scale
    labels: Mapping[int, str]
    """The tick labels of y by row."""

    @property
    def columns(self) -> int:
        """Cells that curves have."""
        return self.x_scale.size // CELL_WIDTH

    def column(self, x: float) -> int:
        """The cell in which a value of x lies."""
        return self.gutter + self.x_scale.clamped(x) // CELL_WIDTH

    def x_at(self, column: int) -> float:
        """The value of x in the middle of a cell, or the nearest that there is."""
        dot = min(self.x_scale.size - 1, max(0, (column - self.gutter) * CELL_WIDTH + 0.5))
        return self.x_scale.value(dot)


def frame(data: ChartData, width: int, height: int) -> Frame | None:
    """Where values lie in a chart of that size; None where a sentence is shown instead."""
    if not data.lines or width < _TICK_WIDTH or height < 3:
        return None
    plot_rows = height - 1
    y_scale = Scale(*data.y_range, plot_rows * CELL_HEIGHT, data.log)
    labels = _y_labels(y_scale, plot_rows)
    gutter = max(map(len, labels.values()), default=0) + 1
    return Frame(gutter, Scale(*data.x_range, max(1, width - gutter - 1) * CELL_WIDTH, data.x_log), y_scale, labels)


def draw(data: ChartData, width: int, height: int) -> list[Row]:
    """The rows of a chart of that size in cells; the last one holds the ticks of x."""
    places = frame(data, width, height)
    if places is None:
        return message_rows(data.empty, width, height)
    plot_rows, gutter, labels = height - 1, places.gutter, places.labels
    x_scale, y_scale = places.x_scale, places.y_scale
    canvas = Canvas(places.columns, plot_rows)
    for line in data.lines:
        _draw_line(canvas, line, x_scale, y_scale)
    rows = [[*_gutter(labels.get(row, ""), gutter), *canvas.cells(row), (" ", "")] for row in range(plot_rows)]
    for value, label in [*([data.chance] if data.chance is not None else []), *data.levels]:
        _add_level(rows, value, label, y_scale, gutter)
    _add_marks(rows, data, x_scale, gutter)
    _add_signs(rows, data, x_scale, y_scale, gutter)
    rows.append(_x_axis(data, x_scale, gutter, width))
    return rows


def text_of(rows: Sequence[Row]) -> list[str]:
    """The rows without their inks."""
    return ["".join(character for character, _ in row) for row in rows]


def _draw_line(canvas: Canvas, line: Line, x_scale: Scale, y_scale: Scale) -> None:
    def down(value: float) -> int:
        return canvas.height - 1 - y_scale.clamped(value)

    columns = recalled(
        line.samples, ("columns", x_scale), lambda: sorted(reduce(within(line.samples, x_scale), x_scale).items())
    )
    if not columns:
        return
    if line.band:
        for x, low, high in _filled(columns, line):
            canvas.column(x, down(high), down(low), line.ink)
        return
    rows = recalled(line.samples, ("rows", x_scale, y_scale), lambda: [down(sample.value) for _, sample in columns])
    dots = list(zip(columns, rows, strict=True))
    for ((x0, before), y0), ((x1, here), y1) in itertools.pairwise([dots[0], *dots]):
        if _is_broken(line, before, here):
            x0, y0 = x1, y1
        canvas.line(x0, y0, x1, y1, line.ink)
        if line.points:
            canvas.column(x1, down(here.high), down(here.low), line.ink)


def _is_broken(line: Line, before: Sample, here: Sample) -> bool:
    """Whether nothing was measured somewhere between two samples."""
    if here.x - before.x > line.max_gap:
        return True
    if not line.gaps:
        return False
    following = bisect_left(line.gaps, before.x)
    return following < len(line.gaps) and line.gaps[following] < here.x


def _filled(columns: Sequence[tuple[int, Sample]], line: Line) -> Iterator[tuple[int, float, float]]:
    """Lowest and highest value of every column, also of those between two stretches of a band."""
    for (x0, one), (x1, other) in itertools.pairwise([columns[0], *columns]):
        for x in range(x0 + 1, x1) if not _is_broken(line, one, other) else ():
            part = (x - x0) / (x1 - x0)
            yield x, one.low + part * (other.low - one.low), one.high + part * (other.high - one.high)
        yield x1, other.low, other.high


def _y_labels(scale: Scale, rows: int) -> dict[int, str]:
    """The tick labels of y by row, counted from the top."""
    count = min(6, max(2, round(rows * 0.6)))
    values = log_ticks(scale.low, scale.high, count) if scale.log else ticks(scale.low, scale.high, count)
    return {rows - 1 - scale.clamped(value) // CELL_HEIGHT: tick(value) for value in values}


def _gutter(label: str, width: int) -> Row:
    return [(character, "axis") for character in f"{label:>{width - 1}}{'┤' if label else '│'}"]


def _x_axis(data: ChartData, scale: Scale, gutter: int, width: int) -> Row:
    """The tick labels of x, each below its place as far as there is room, and the name of x at the right."""
    # A long name is left to what stands before its comma, where it would take the place of the labels.
    name = data.x_name if len(data.x_name) * _NAME_PART <= width else data.x_name.partition(",")[0]
    name_start = width - len(name)
    row: Row = [(" ", "")] * name_start + [(character, "axis") for character in name]
    end = name_start - 1 if name else width
    count = max(1, (width - gutter) // _TICK_WIDTH)
    free_from = 0
    for value, label in _x_labels(data, scale, count):
        centre = gutter + scale.clamped(value) // CELL_WIDTH
        start = min(max(centre - len(label) // 2, gutter - 1), width - len(label))
        if free_from <= start <= end - len(label):
            row[start : start + len(label)] = [(character, "axis") for character in label]
            free_from = start + len(label) + 1
    return row


def _x_labels(data: ChartData, scale: Scale, count: int) -> list[tuple[float, str]]:
    if data.x_seconds:
        values = time_ticks(scale.low, scale.high, count)
        return [(value, time_tick(value, values[1] - values[0] if len(values) > 1 else value)) for value in values]
    # Between two epochs or steps there are others only where a window is narrow.
    whole = scale.high - scale.low >= 2
    return [(value, tick(value)) for value in data.x_ticks or ticks(scale.low, scale.high, count, whole=whole)]


def _add_level(rows: list[Row], value: float, label: str, y_scale: Scale, gutter: int) -> None:
    row = rows[len(rows) - 1 - y_scale.clamped(value) // CELL_HEIGHT]
    for column in range(gutter, len(row)):
        if row[column][0] == " ":
            row[column] = ("╌", "chance")
    text = f" {label} "
    for start in range(len(row) - len(text), gutter, -1):  # as far to the right as there is no curve
        if all(ink in ("", "chance") for _, ink in row[start : start + len(text)]):
            row[start : start + len(text)] = [(character, "chance") for character in text]
            return


def _add_marks(rows: list[Row], data: ChartData, x_scale: Scale, gutter: int) -> None:
    low, high = data.x_range
    marks = [mark for mark in data.marks if low <= mark.x <= high]
    last = {mark.word: number for number, mark in enumerate(marks)}
    for number, mark in enumerate(marks):
        column = gutter + x_scale.clamped(mark.x) // CELL_WIDTH
        stroke, sign = _STROKES.get(mark.ink, _STROKES["mark"])
        for row in rows:
            if row[column][0] in "╌┆" or row[column] == (" ", ""):  # labels have blanks too
                row[column] = (stroke, mark.ink)
        label = f" {sign}{mark.word} "
        end = column + 1 + len(label)
        for row in rows if last[mark.word] == number else []:
            if end <= len(row) and all(character == " " for character, _ in row[column + 1 : end]):
                row[column + 1 : end] = [(character, mark.ink) for character in label]
                break


def _add_signs(rows: list[Row], data: ChartData, x_scale: Scale, y_scale: Scale, gutter: int) -> None:
    for line in data.lines:
        # At a measurement itself; a curve's sign stands behind its end.
        shown = within(line.samples, x_scale) if line.sign else ()
        for sample in shown if line.points else shown[-1:]:
            row = rows[len(rows) - 1 - y_scale.clamped(sample.value) // CELL_HEIGHT]
            column = min(len(row) - 1, gutter + x_scale.clamped(sample.x) // CELL_WIDTH + (not line.points))
            row[column] = (line.sign, line.ink)


def message_rows(text: str, width: int, height: int) -> list[Row]:
    """A sentence in the middle of the space."""
    lines: list[str] = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width - 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    lines = lines[:height]
    above = (height - len(lines)) // 2
    padded = [""] * above + lines + [""] * (height - above - len(lines))
    return [[(character, "empty") for character in line.center(width)[:width]] for line in padded]
