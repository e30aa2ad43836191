"""Charts of what is logged at every step, one for each series. Pure."""

from collections.abc import Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.lines import Shape, step_chart
from simclr_tui.plot.draw import ChartData

SHAPES = {
    "loss": Shape(title="loss of a step"),
    "acc_top1": Shape(title="top-1 of a step, %", factor=100, from_zero=True, can_log=False),
    "acc_top5": Shape(title="top-5 of a step, %", factor=100, from_zero=True, can_log=False),
    "acc_mean_pos": Shape(title="mean place of the partner"),
    "lr": Shape(title="learning rate", from_zero=True),
    "grad_norm": Shape(title="gradient norm", from_zero=True),
    "t_data": Shape(title="t_data, ms", factor=1000, from_zero=True),
    "t_batch": Shape(title="t_batch, ms", factor=1000, from_zero=True),
}
"""Of every series of STEP_SERIES."""


def one_step_chart(name: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """A step series by itself, with nothing of it cut off."""
    return step_chart(SHAPES[name], drawn, view, (name, name))
