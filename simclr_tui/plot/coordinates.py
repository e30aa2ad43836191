"""Parallel coordinates: upright axes beside each other, and each run a line from its place on one to that on the next.

After Inselberg (1985, "The plane with parallel coordinates"), as sweeps are read in TensorBoard's HParams, W&B and
Aim: lines that cross between two axes say that more of the one goes with less of the other. Pure.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from simclr_tui.format import fit
from simclr_tui.plot.braille import CELL_HEIGHT, CELL_WIDTH, Canvas
from simclr_tui.plot.draw import Row, message_rows

NARROWEST_AXIS = 14
"""Cells from an axis to the next one that its labels and the lines need."""

_LONGEST_LABEL = 16


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis."""

    name: str
    labels: Sequence[tuple[float, str]]
    """What stands beside it: places from 0 at its foot to 1, with their words."""
    is_result: bool = False
    """Results are the last to be left out for want of room."""


@dataclass(frozen=True, slots=True)
class Course:
    """The line of one run."""

    sign: str
    ink: str
    places: Sequence[float | None]
    """Its place on each axis; None where it has none, and the line is broken."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Everything that is drawn."""

    axes: Sequence[Axis] = ()
    courses: Sequence[Course] = ()
    """The one that is drawn last, over the others, comes last."""
    empty: str = ""
    """Why there is nothing to draw."""


def shown_axes(data: Coordinates, width: int) -> list[int]:
    """The numbers of the axes that fit into a width: results first of all, then the settings with the most values."""
    count = max(2, (width - _LONGEST_LABEL) // NARROWEST_AXIS + 1)
    numbers = range(len(data.axes))

    def values(number: int) -> int:
        return len({course.places[number] for course in data.courses})

    results = [number for number in numbers if data.axes[number].is_result][1 - count :]
    settings = [number for number in numbers if number not in results and not data.axes[number].is_result]
    kept = sorted(settings, key=values, reverse=True)[: count - len(results)]
    return [number for number in settings if number in kept] + results


def draw(data: Coordinates, width: int, height: int) -> list[Row]:
    """The rows of the picture in a size in cells; the names of the axes stand below them."""
    chosen = shown_axes(data, width)
    if data.empty or len(chosen) < 2 or height < 4 or width < 2 * NARROWEST_AXIS:
        return message_rows(data.empty or "a wider screen shows the axes", width, height)
    axes = [data.axes[number] for number in chosen]
    columns = _columns(axes, width)
    canvas = Canvas(width, height - 1)
    for course in data.courses:
        _draw_course(canvas, [course.places[number] for number in chosen], columns, course.ink)
    rows: list[Row] = [list(canvas.cells(row)) for row in range(canvas.rows)]
    for axis, column, room in zip(axes, columns, _rooms(columns, width), strict=True):
        _put_axis(rows, axis, column, room)
    for course in data.courses:
        for number, column in zip(chosen, columns, strict=True):
            place = course.places[number]
            if place is not None:
                rows[_row_of(place, canvas.rows)][column] = (course.sign, course.ink)
    return [*rows, _names(axes, columns, width)]


def _columns(axes: Sequence[Axis], width: int) -> list[int]:
    """The cells of the axes, so that the words of the last one have room behind it."""
    words = [axes[-1].name, *(label for _, label in axes[-1].labels)]
    behind = 1 + min(_LONGEST_LABEL, max(map(cell_len, words)))
    last = width - 1 - behind
    return [1 + round(number * (last - 1) / (len(axes) - 1)) for number in range(len(axes))]


def _rooms(columns: Sequence[int], width: int) -> list[int]:
    """Cells that the words of each axis have."""
    ends = [*columns[1:], width]
    return [end - column - 2 for column, end in zip(columns, ends, strict=True)]


def _row_of(place: float, rows: int) -> int:
    return (rows * CELL_HEIGHT - 1 - _dot_of(place, rows)) // CELL_HEIGHT


def _dot_of(place: float, rows: int) -> int:
    """Dots from the foot."""
    return round(min(1.0, max(0.0, place)) * (rows * CELL_HEIGHT - 1))


def _draw_course(canvas: Canvas, places: Sequence[float | None], columns: Sequence[int], ink: str) -> None:
    points = [
        None if place is None else (column * CELL_WIDTH, canvas.height - 1 - _dot_of(place, canvas.rows))
        for place, column in zip(places, columns, strict=True)
    ]
    for one, other in itertools.pairwise(points):
        if one is not None and other is not None:
            canvas.line(*one, *other, ink)


def _put_axis(rows: list[Row], axis: Axis, column: int, room: int) -> None:
    """An axis over the lines, with its words behind it, as far as each has a row of its own."""
    for row in rows:
        row[column] = ("│", "axis")
    taken: set[int] = set()
    for place, label in axis.labels:
        at = _row_of(place, len(rows))
        if at in taken:
            continue
        taken.add(at)
        rows[at][column] = ("┤", "axis")
        _put(rows[at], column + 1, label, room)


def _put(row: Row, column: int, text: str, room: int) -> None:
    """Write text over what is there, in whole cells."""
    for letter in fit(text, min(room, cell_len(text))):
        width = max(1, cell_len(letter))
        row[column : column + width] = [(letter, "axis"), *[("", "axis")] * (width - 1)]
        column += width


def _names(axes: Sequence[Axis], columns: Sequence[int], width: int) -> Row:
    row: Row = [(" ", "")] * width
    for axis, column, room in zip(axes, columns, _rooms(columns, width), strict=True):
        _put(row, column, axis.name, room + 1)
    return row
