"""The reading cursor over the rows of a chart, so that moving it draws nothing anew. Pure."""

from collections.abc import Sequence

from simclr_tui.plot.draw import Frame, Row

CURSOR_INK = "cursor"
CROSSED = "+cursor"
"""Behind the ink of a curve's cell that the cursor lies on."""

_EMPTY = " ╌┆┇"


def with_cursor(rows: Sequence[Row], frame: Frame, x: float, label: str) -> list[Row]:
    """The rows with a vertical line at a value of x, and the value in the row of the ticks; cells beyond are left.

    Args:
        rows: of a whole chart, the ticks of x in the last one.
        frame: where values lie in them.
        x: the value; nothing is drawn if it lies beyond the chart.
        label: the value in words.
    """
    low, high = frame.x_scale.low, frame.x_scale.high
    if not low <= x <= high:
        return list(rows)
    column = frame.column(x)
    crossed = [_crossed(row, column) for row in rows[:-1]]
    return [*crossed, _labelled(rows[-1], column, label)]


def _crossed(row: Row, column: int) -> Row:
    character, ink = row[column]
    cell = ("│", CURSOR_INK) if character in _EMPTY else (character, ink + CROSSED)
    return [*row[:column], cell, *row[column + 1 :]]


def _labelled(row: Row, column: int, label: str) -> Row:
    """The ticks with a label below its place; a tick that it would cut is left out whole."""
    label = label[: len(row)]
    start = min(max(0, column - len(label) // 2), len(row) - len(label))
    end = start + len(label)
    first, last = max(0, start - 1), min(len(row), end + 1)
    while first > 0 and row[first][0] != " ":
        first -= 1
    while last < len(row) and row[last - 1][0] != " ":
        last += 1
    blank: Row = [(" ", "")]
    return [
        *row[:first],
        *blank * (start - first),
        *((character, CURSOR_INK) for character in label),
        *blank * (last - end),
        *row[last:],
    ]
