"""Every chart that there is of some runs, with what it is called and where it belongs. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from simclr_tui.charts.device import SHAPES as DEVICE_SHAPES
from simclr_tui.charts.drawn import Drawn
from simclr_tui.charts.epochs import SHAPES as EPOCH_SHAPES
from simclr_tui.charts.ids import DEVICE, EPOCHS, METRICS, SCORES, STEPS
from simclr_tui.charts.metrics import TITLES
from simclr_tui.charts.scores import score_key
from simclr_tui.charts.steps import SHAPES as STEP_SHAPES


@dataclass(frozen=True, slots=True)
class ChartName:
    """A chart as it is offered."""

    id: str
    title: str
    group: str
    """What it is one of: several series together, every step, every epoch, …"""


_TOGETHER = {
    "loss": "loss",
    "accuracy": "accuracy in training, top-1 and top-5, %",
    "knn": "kNN top-1, %",
    "step-time": "a step, ms: t_batch, t_data, and the parts of epochs",
    "device": "device, the last ten minutes, %",
}


def chart_names(drawn: Sequence[Drawn]) -> list[ChartName]:
    """The charts of the drawn runs; what none of them has measured is left out, but for what every run has."""
    names = [ChartName(name, title, "together") for name, title in _TOGETHER.items()]
    names += [ChartName(STEPS + name, shape.title, "every step") for name, shape in STEP_SHAPES.items()]
    measured = _measured(drawn)
    names += [
        ChartName(EPOCHS + name, shape.title, "every epoch") for name, shape in EPOCH_SHAPES.items() if name in measured
    ]
    metrics = sorted({name for one in drawn for name in one.curves.metric_names}, key=_by_title)
    names += [ChartName(METRICS + name, TITLES.get(name, name), "now and then") for name in metrics]
    sampled = _sampled(drawn)
    names += [
        ChartName(DEVICE + name, shape.title, "device, the whole run")
        for name, shape in DEVICE_SHAPES.items()
        if name in sampled
    ]
    scores = sorted({key for one in drawn for evaluation in one.curves.evaluations if (key := score_key(evaluation))})
    return names + [ChartName(SCORES + key, f"{key}, top-1, %", "evaluations") for key in scores]


def _by_title(name: str) -> tuple[bool, str]:
    """Series that have a title first."""
    return name not in TITLES, TITLES.get(name, name)


def _measured(drawn: Sequence[Drawn]) -> Collection[str]:
    return {name for one in drawn for row in one.curves.epochs for name, value in row.items() if value is not None}


def _sampled(drawn: Sequence[Drawn]) -> Collection[str]:
    """Figures that the devices of some runs tell, by what they told last."""
    newest = [one.curves.device[-1] for one in drawn if one.curves.device]
    found = {name for row in newest for name, value in row.items() if value is not None}
    return found | {"throttled"} if any(row["source"] != "cpu" for row in newest) else found
