"""Which charts there are and what each shows: from curves to chart data. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from simclr_tui.charts.device import recent_chart
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.epochs import epoch_chart
from simclr_tui.charts.ids import DEVICE, EPOCHS, METRICS, SCORES, STEPS
from simclr_tui.charts.lines import Shape, step_chart
from simclr_tui.format import number
from simclr_tui.objective import accuracy_chance, loss_chance, method_of
from simclr_tui.plot.draw import ChartData

if TYPE_CHECKING:
    from simclr_tui.charts.names import ChartName

__all__ = ["PANELS", "chart_data", "chart_names"]

Panel = Callable[[Sequence[Drawn], View], ChartData]
"""Makes a chart of drawn runs, the cursor's run first."""


def loss_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """The loss of each step against its chance level."""
    data = step_chart(Shape(title="loss"), drawn, view, ("loss", "loss"))
    chance = loss_chance(drawn[0].row.run) if drawn else None
    if not data.lines or chance is None:
        return data
    low, high = data.y_range
    if view.window is None:
        high = max(high, chance * 1.02)
    elif not low <= chance <= high:  # what is looked at closely is not made small for it
        return data
    return replace(data, chance=(chance, f"chance {number(chance)}"), y_range=(low, high))


def accuracy_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """Contrastive top-1 and top-5, of a classifier in training its own; only top-1 of the runs compared with."""
    is_classifier = bool(drawn) and method_of(drawn[0].row.run) == "cross-entropy"
    title = "training accuracy, %" if is_classifier else "contrastive accuracy, %"
    shape = Shape(title=title, factor=100, from_zero=True, can_log=False)
    data = step_chart(shape, drawn, view, ("acc_top1", "top-1"), ("acc_top5", "top-5"))
    if not data.lines:
        return data
    data = replace(data, y_range=(0.0, min(100.0, data.y_range[1])))
    levels = accuracy_chance(drawn[0].row.run)
    if levels is None:
        return data
    chance = 100 * levels.acc_top1
    return replace(data, chance=(chance, f"chance {number(chance, 2)}"))


def step_time_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """Milliseconds that a step computes, and that it waited for its batch."""
    shape = Shape(title="a step, ms", factor=1000, from_zero=True, clip=True)
    return step_chart(shape, drawn, view, ("t_batch", "t_batch"), ("t_data", "t_data"))


def knn_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """The online kNN score of each epoch."""
    return epoch_chart("knn_top1", drawn, view)


def device_panel(drawn: Sequence[Drawn], _view: View) -> ChartData:
    """What the device of the cursor's run did in the last minutes."""
    return recent_chart(drawn)


PANELS: Mapping[str, Panel] = {
    "loss": loss_panel,
    "accuracy": accuracy_panel,
    "knn": knn_panel,
    "step-time": step_time_panel,
    "device": device_panel,
}
"""The charts that show several things together, or what every run is looked at for first, by their ids."""


def chart_data(name: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """What a chart shows, by its id; one that nobody knows says so. Those of single series are made on first use."""
    if name in PANELS:
        return PANELS[name](drawn, view)
    kind, _, series = name.partition(".")
    panel = _series_panel(f"{kind}.", series)
    return panel(drawn, view) if panel is not None else ChartData(title=name, empty="there is no such chart any more")


def _series_panel(kind: str, series: str) -> Panel | None:
    """What makes the chart of one series."""
    from simclr_tui.charts import device, epochs, metrics, scores, steps

    if kind == STEPS and series in steps.SHAPES:
        return lambda drawn, view: steps.one_step_chart(series, drawn, view)
    if kind == EPOCHS and series in epochs.SHAPES:
        return lambda drawn, view: epoch_chart(series, drawn, view)
    if kind == DEVICE and series in device.SHAPES:
        return lambda drawn, view: device.device_chart(series, drawn, view)
    if kind == METRICS and series:
        return lambda drawn, view: metrics.metric_chart(series, drawn, view)
    if kind == SCORES and series:
        return lambda drawn, view: scores.score_chart(series, drawn, view)
    return None


def chart_names(drawn: Sequence[Drawn]) -> "list[ChartName]":
    """Every chart that there is of the drawn runs."""
    from simclr_tui.charts.names import chart_names

    return chart_names(drawn)
