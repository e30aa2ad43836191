"""From chart data to rows of inked text: axes, curves, bands, marks and the chance line. Pure.

An ink is the name of a colour, not a colour: the widget looks it up in the theme.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from simclr_tui.braille import CELL_HEIGHT, CELL_WIDTH, Canvas
from simclr_tui.format import tick
from simclr_tui.series import Sample, Scale, log_ticks, reduce, ticks

Row = list[tuple[str, str]]
"""The cells of a line of text, each a character and its ink."""

_TICK_WIDTH = 9


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
    points: bool = False
    """Each sample is a measurement of its own: it has the sign, and a bar from its lowest to its highest value."""
    name: str = ""
    """Of what it is the curve, where its values can be read off; a band and a stretch before a fork have none."""


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
    log: bool = False
    chance: tuple[float, str] | None = None
    levels: Sequence[tuple[float, str]] = ()
    """Further dashed lines across the chart."""
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple)
    """Where on x something happened to the run, and in a word what."""


def draw(data: ChartData, width: int, height: int) -> list[Row]:
    """The rows of a chart of that size in cells; the last one holds the ticks of x."""
    if not data.lines or width < _TICK_WIDTH or height < 3:
        return _message(data.empty, width, height)
    plot_rows = height - 1
    y_scale = Scale(*data.y_range, plot_rows * CELL_HEIGHT, data.log)
    labels = _y_labels(y_scale, plot_rows)
    gutter = max(map(len, labels.values()), default=0) + 1
    canvas = Canvas(max(1, width - gutter - 1), plot_rows)
    x_scale = Scale(*data.x_range, canvas.width, data.x_log)
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

    columns = sorted(reduce(line.samples, x_scale).items())
    if line.band:
        for x, low, high in _filled(columns):
            canvas.column(x, down(high), down(low), line.ink)
        return
    for (x0, before), (x1, here) in itertools.pairwise([columns[0], *columns]):
        if here.x - before.x > line.max_gap:
            x0, before = x1, here
        canvas.line(x0, down(before.value), x1, down(here.value), line.ink)
        if line.points:
            canvas.column(x1, down(here.high), down(here.low), line.ink)


def _filled(columns: Sequence[tuple[int, Sample]]) -> Iterator[tuple[int, float, float]]:
    """Lowest and highest value of every column, also of those between two stretches of a band."""
    for (x0, one), (x1, other) in itertools.pairwise([columns[0], *columns]):
        for x in range(x0 + 1, x1):
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
    name_start = width - len(data.x_name)
    row: Row = [(" ", "")] * name_start + [(character, "axis") for character in data.x_name]
    end = name_start - 1 if data.x_name else width
    count = max(1, (width - gutter) // _TICK_WIDTH)
    free_from = 0
    for value in data.x_ticks or ticks(scale.low, scale.high, count, whole=True):
        label = tick(value)
        centre = gutter + scale.clamped(value) // CELL_WIDTH
        start = min(max(centre - len(label) // 2, gutter - 1), width - len(label))
        if free_from <= start <= end - len(label):
            row[start : start + len(label)] = [(character, "axis") for character in label]
            free_from = start + len(label) + 1
    return row


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
    last = {label: number for number, (_, label) in enumerate(data.marks)}
    for number, (mark, word) in enumerate(data.marks):
        column = gutter + x_scale.clamped(mark) // CELL_WIDTH
        for row in rows:
            if row[column][0] in " ╌":
                row[column] = ("┆", "mark")
        label = f" {word} "
        end = column + 1 + len(label)
        for row in rows if last[word] == number else []:
            if end <= len(row) and all(character == " " for character, _ in row[column + 1 : end]):
                row[column + 1 : end] = [(character, "mark") for character in label]
                break


def _add_signs(rows: list[Row], data: ChartData, x_scale: Scale, y_scale: Scale, gutter: int) -> None:
    for line in data.lines:
        # At a measurement itself; a curve's sign stands behind its end.
        signed = line.samples if line.points else line.samples[-1:]
        for sample in signed if line.sign else ():
            row = rows[len(rows) - 1 - y_scale.clamped(sample.value) // CELL_HEIGHT]
            column = min(len(row) - 1, gutter + x_scale.clamped(sample.x) // CELL_WIDTH + (not line.points))
            row[column] = (line.sign, line.ink)


def _message(text: str, width: int, height: int) -> list[Row]:
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
