"""Ids of axes, and of charts: five that show several things together, one for each series, its kind before its name.

An id is what is remembered, and not the id of a widget: names of series may have any characters.
"""

from collections.abc import Collection

from trainer.store.series import METRIC, STEP_SERIES

STEPS = "steps."
EPOCHS = "epochs."
DEVICE = "device."
SCORES = "scores."
METRICS = METRIC

AXES = ("epoch", "step", "wall", "trained")
"""What charts can have on x: epochs, steps, seconds since the run's start, seconds of training."""

_JUDGED = ("loss", "t_batch", "t_data")
"""Step series by which a run is judged in words, whatever is shown."""

_OF_CHARTS = {"accuracy": ("acc_top1", "acc_top5")}


def step_series(charts: Collection[str]) -> tuple[str, ...]:
    """The step series that some charts need, with those that are always read."""
    wanted = {*_JUDGED, *(name for chart in charts for name in _OF_CHARTS.get(chart, ()))}
    wanted |= {chart.removeprefix(STEPS) for chart in charts if chart.startswith(STEPS)}
    return tuple(name for name in STEP_SERIES if name in wanted)
