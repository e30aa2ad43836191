"""Charts of the series of `metrics`: health figures and whatever else is measured now and then. Pure."""

from collections.abc import Mapping, Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.lines import Shape, step_chart
from simclr_tui.charts.reasons import no_metric
from simclr_tui.plot.draw import ChartData
from trainer.store.series import METRIC

TITLES: Mapping[str, str] = {
    "rank_z": "rank of z",
    "rank_h": "rank of h",
    "std_z": "spread of z",
    "std_h": "spread of h",
    "spread_h": "variation of h",
    "alignment": "alignment",
    "uniformity": "uniformity",
    "similarity_positive": "similarity of positives",
    "similarity_negative": "similarity of negatives",
}
"""What docs/health.md calls its series; others are called by their name."""


def metric_chart(name: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """A series of `metrics` by its name."""
    shape = Shape(title=TITLES.get(name, name))
    return step_chart(shape, drawn, view, (METRIC + name, name), empty=no_metric)
