"""Charts of what is stored of each epoch: scores, validation, times. Pure."""

from collections.abc import Collection, Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.lines import Shape, point_chart
from simclr_tui.charts.reasons import no_epochs, no_knn
from simclr_tui.plot.draw import ChartData
from simclr_tui.plot.series import Sample

SHAPES = {
    "loss": Shape(title="mean loss of an epoch"),
    "acc_top1": Shape(title="mean contrastive top-1 of an epoch, %", factor=100, from_zero=True, can_log=False),
    "acc_top5": Shape(title="mean contrastive top-5 of an epoch, %", factor=100, from_zero=True, can_log=False),
    "acc_mean_pos": Shape(title="mean place of the partner in an epoch"),
    "val_loss": Shape(title="loss on held-out"),
    "val_acc_top1": Shape(title="top-1 on held-out, %", factor=100, from_zero=True, can_log=False),
    "val_acc_top5": Shape(title="top-5 on held-out, %", factor=100, from_zero=True, can_log=False),
    "val_acc_mean_pos": Shape(title="mean place of the partner on held-out"),
    "t_data": Shape(title="mean t_data of an epoch, ms", factor=1000, from_zero=True),
    "t_batch": Shape(title="mean t_batch of an epoch, ms", factor=1000, from_zero=True),
    "t_train": Shape(title="t_train, s", from_zero=True),
    "t_epoch": Shape(title="t_epoch, s", from_zero=True),
    "t_idle": Shape(title="t_idle, s", from_zero=True),
    "images_per_second": Shape(title="images per second", from_zero=True),
    "gpu_util": Shape(title="mean device utilisation of an epoch, %", from_zero=True, can_log=False),
    "knn_top1": Shape(title="kNN top-1, %", factor=100, can_log=False),
    "knn_top5": Shape(title="kNN top-5, %", factor=100, can_log=False),
}
"""Every column of `epochs` that is a figure over time."""


def epoch_chart(column: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """A column of `epochs`, each value at the end of its epoch."""
    known = {one.row.run.id for one in drawn}
    shape = SHAPES[column]
    return point_chart(
        shape,
        drawn,
        view,
        column,
        lambda one: epoch_values(one, column),
        lambda one: _before(one, column, view, shape.factor, without=known),
        empty=no_knn if column.startswith("knn") else no_epochs,
    )


def epoch_values(one: Drawn, column: str) -> list[tuple[float, float]]:
    """The last steps of epochs, and what a column of `epochs` has for them."""
    per_epoch = one.row.run.steps_per_epoch or 1
    return [(row["epoch"] * per_epoch, row[column]) for row in one.curves.epochs if row.get(column) is not None]


def _before(one: Drawn, column: str, view: View, factor: float, *, without: Collection[str]) -> list[Sample]:
    """The same of the runs before the fork; a closed epoch counts if its last step came before it."""
    found: list[Sample] = []
    for stretch in one.trunk:
        per_epoch = stretch.row.run.steps_per_epoch or 1
        found += [
            Sample.at(one.x_before(stretch, row["epoch"] * per_epoch, view), factor * row[column])
            for row in stretch.curves.epochs
            if row.get(column) is not None
            and row["epoch"] * per_epoch <= stretch.until
            and stretch.row.run.id not in without
        ]
    return found
