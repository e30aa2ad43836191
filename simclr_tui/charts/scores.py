"""Charts of evaluations: what a layer scored by a protocol, over the steps of the checkpoints. Pure."""

from collections.abc import Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.lines import Shape, point_chart
from simclr_tui.charts.reasons import no_score
from simclr_tui.plot.draw import ChartData
from trainer.store.records import Evaluation


def score_key(evaluation: Evaluation) -> str | None:
    """What a score is told apart by: "linear h"; None for one on part of the labels or on other images."""
    if evaluation.top1 is None or evaluation.labels_per_class or evaluation.dataset:
        return None
    return f"{evaluation.protocol} {evaluation.layer}"


def score_chart(key: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """Top-1 of one protocol and layer; of several seeds their mean."""
    shape = Shape(title=f"{key}, top-1, %", factor=100, can_log=False)
    return point_chart(shape, drawn, view, key, lambda one: _scores(one, key), empty=no_score)


def _scores(one: Drawn, key: str) -> list[tuple[float, float]]:
    found: dict[int, list[float]] = {}
    for evaluation in one.curves.evaluations:
        if score_key(evaluation) == key and evaluation.top1 is not None:
            found.setdefault(evaluation.step, []).append(evaluation.top1)
    return [(float(step), sum(values) / len(values)) for step, values in sorted(found.items())]
