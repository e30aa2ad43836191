"""What stands below a chart that has the whole screen: every curve's figures at the cursor, and the marks. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.reading import Reading, has_readings, place_read, readings, x_figure, x_words
from simclr_tui.format import UNKNOWN, fit, number
from simclr_tui.plot.draw import ChartData
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_FEWEST_NAME, _MOST_NAME = 8, 28
_CURVE, _FIGURE, _SPREAD, _PLACE = 12, 12, 21, 17
_DIGITS = 4


class _Has(NamedTuple):
    """Which columns there is room for, beside run, curve and value."""

    place: bool
    last: bool
    spread: bool


def reading_lines(data: ChartData, drawn: Sequence[Drawn], view: View, width: int) -> list[list[Part]]:
    """A heading, and a line for each curve with a name; at the newest end where there is no cursor.

    What does not fit is left out: first of which values a point is the mean, then the last one, then where it was read.
    """
    if not has_readings(data):
        return []
    at = place_read(data, view.cursor)
    x = data.x_range[1] if at is None else at
    room = width - 4 - _CURVE - _FIGURE
    has = _Has(
        place=room >= _FEWEST_NAME + _PLACE,
        last=room >= _FEWEST_NAME + _PLACE + _FIGURE,
        spread=room >= _MOST_NAME + _PLACE + _FIGURE + _SPREAD,
    )
    name = max(_FEWEST_NAME, min(_MOST_NAME, room - _PLACE * has.place - _FIGURE * has.last))
    where = f"at {x_words(view.axis, x)}" if at is not None else "run"
    heading = f"  {fit(where, name)} {fit('curve', _CURVE)}{'value':>{_FIGURE}}"
    heading += f"{'of its stretch':>{_SPREAD}}" if has.spread else ""
    heading += f"{'read at':>{_PLACE}}" if has.place else ""
    heading += f"{'last shown':>{_FIGURE}}" if has.last else ""
    lines: list[list[Part]] = [[(heading, MUTED)]]
    return lines + [_line(one, drawn, view, name, has) for one in readings(data.lines, x)]


def _line(one: Reading, drawn: Sequence[Drawn], view: View, name: int, has: _Has) -> list[Part]:
    run = run_of(one, drawn)
    line = one.line
    figures = f"{one.words:>{_FIGURE}}"
    figures += f"{one.spread or UNKNOWN:>{_SPREAD}}" if has.spread else ""
    if has.place:
        figures += f"{UNKNOWN if one.sample is None else x_figure(view.axis, one.sample.x):>{_PLACE}}"
    if has.last:
        figures += f"{number((line.raw or line.samples)[-1].value, _DIGITS):>{_FIGURE}}"
    return [
        (f"{line.sign or ' '} {fit(run.row.run.name if run else '', name)} ", f"${run.ink}" if run else ""),
        f"{fit(line.name, _CURVE)}{figures}",
    ]


def run_of(one: Reading, drawn: Sequence[Drawn]) -> Drawn | None:
    """The run that a curve is of."""
    return next((run for run in drawn if run.row.run.id == one.line.key), None)


def mark_words(data: ChartData, view: View) -> str:
    """The marks that are in sight, those nearest to the cursor or to the newest end first, with their runs' signs."""
    low, high = data.x_range
    at = view.cursor if view.cursor is not None else high
    seen = sorted((mark for mark in data.marks if low <= mark.x <= high), key=lambda mark: abs(mark.x - at))
    words = dict.fromkeys(f"{mark.sign} {mark.word} at {x_words(view.axis, mark.x)}".lstrip() for mark in seen)
    return " · ".join(words)
