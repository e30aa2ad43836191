"""Which charts can be chosen, and how charts were looked at the last time. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from simclr_tui.charts.drawn import FIRST_CHARTS, Drawn, View
from simclr_tui.charts.ids import AXES
from simclr_tui.charts.panels import chart_data, chart_names
from simclr_tui.charts.reading import SMOOTHINGS
from simclr_tui.plot.draw import ChartData

EVALUATION = "evaluation"
"""The id of the table of evaluations, which stands among the charts."""

FIRST_CELLS = (*FIRST_CHARTS, EVALUATION)
"""What is shown as long as nobody has chosen."""

REMEMBERED = ("charts", "axis", "log", "smoothing")
"""What of a view is kept for the next time; window and cursor are places on the runs of the day."""

_MOST_CHARTS = 200
_LONGEST_ID = 200


def chart_of(name: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """A chart by its id; beside others the runs that are compared have their names in the legend."""
    data = chart_data(name, drawn, view)
    if len(drawn) < 2:
        return data
    shown = {line.key for line in data.lines}
    is_told = any(text.startswith(f"{drawn[0].sign} ") for text, _ in data.legend)
    others = drawn[1:] if is_told else drawn
    runs = [(f"{one.sign} {one.row.run.name}", one.ink) for one in others if one.row.run.id in shown]
    return replace(data, legend=[*data.legend, *runs])


def to_choose(drawn: Sequence[Drawn], view: View) -> list[tuple[str, str, str]]:
    """Id, title and group of every chart that the drawn runs have something for, and of those that are shown."""
    found = {one.id: (one.id, one.title, one.group) for one in chart_names(drawn)}
    found[EVALUATION] = (EVALUATION, "test accuracy of the newest evaluation, %", "table")
    unknown = {name: (name, name, "not logged by these runs") for name in view.charts if name not in found}
    return [*found.values(), *unknown.values()]


def to_keep(view: View) -> dict[str, Any]:
    """What is remembered of a view, by name."""
    return {f"charts.{name}": getattr(view, name) for name in REMEMBERED if name != "charts"} | {
        "charts.shown": list(view.charts)
    }


def restored(view: View, get: Callable[[str], Any]) -> View:
    """A view with what was remembered, as far as this version knows it."""
    shown, axis, smoothing = get("charts.shown"), get("charts.axis"), get("charts.smoothing")
    names = dict.fromkeys(name for name in shown if _is_id(name)) if isinstance(shown, list) else {}
    return replace(
        view,
        charts=tuple(names)[:_MOST_CHARTS] or FIRST_CELLS,
        axis=axis if axis in AXES else view.axis,
        log=get("charts.log") is True,
        smoothing=smoothing if smoothing in SMOOTHINGS else view.smoothing,
    )


def _is_id(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_ID and name.isprintable()
