"""What stands below a chart that has the whole screen: every curve's figures at the cursor, and the marks. Pure."""

from collections.abc import Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.reading import Reading, has_readings, place_read, readings, x_figure, x_words
from simclr_tui.format import UNKNOWN, fit, number
from simclr_tui.plot.draw import ChartData
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_FEWEST_NAME, _MOST_NAME = 8, 28
_CURVE, _FIGURE, _SPREAD, _PLACE = 12, 12, 21, 17
_DIGITS = 4


def reading_lines(data: ChartData, drawn: Sequence[Drawn], view: View, width: int) -> list[list[Part]]:
    """A heading, and a line for each curve with a name; at the newest end where there is no cursor."""
    if not has_readings(data):
        return []
    at = place_read(data, view.cursor)
    x = data.x_range[1] if at is None else at
    name = max(_FEWEST_NAME, min(_MOST_NAME, width - 4 - _CURVE - 2 * _FIGURE - _PLACE))
    has_spread = width >= 4 + name + _CURVE + 2 * _FIGURE + _SPREAD + _PLACE
    where = f"at {x_words(view.axis, x)}" if at is not None else "run"
    heading = f"  {fit(where, name)} {fit('curve', _CURVE)}{'value':>{_FIGURE}}"
    heading += f"{'of its stretch':>{_SPREAD}}" if has_spread else ""
    lines: list[list[Part]] = [[(f"{heading}{'read at':>{_PLACE}}{'last shown':>{_FIGURE}}", MUTED)]]
    return lines + [_line(one, drawn, view, name, has_spread=has_spread) for one in readings(data.lines, x)]


def _line(one: Reading, drawn: Sequence[Drawn], view: View, name: int, *, has_spread: bool) -> list[Part]:
    run = run_of(one, drawn)
    line = one.line
    spread = f"{one.spread or UNKNOWN:>{_SPREAD}}" if has_spread else ""
    place = UNKNOWN if one.sample is None else x_figure(view.axis, one.sample.x)
    last = number((line.raw or line.samples)[-1].value, _DIGITS)
    return [
        (f"{line.sign or ' '} {fit(run.row.run.name if run else '', name)} ", f"${run.ink}" if run else ""),
        f"{fit(line.name, _CURVE)}{one.words:>{_FIGURE}}{spread}{place:>{_PLACE}}{last:>{_FIGURE}}",
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
