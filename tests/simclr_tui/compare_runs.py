"""Hand-made runs for comparisons, without a store."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from simclr_tui.charts.drawn import Drawn, Stretch
from simclr_tui.compare.side import Side
from simclr_tui.compare.table import Comparison, Line
from simclr_tui.model import Curves, RunRow
from trainer.config import PretrainConfig
from trainer.store.records import Checkpoint, Evaluation, Run
from trainer.store.totals import Totals

PER_EPOCH = 10
BATCH = 64


def make_run(name: str, *, settings: Mapping[str, Any] | None = None, **columns: Any) -> Run:
    """A run of which nothing is known but what is told."""
    config = PretrainConfig.from_values({"batch_size": BATCH, **(settings or {})})
    known: dict[str, Any] = dict.fromkeys((field.name for field in fields(Run)), None)
    known |= {"id": f"id-{name}", "name": name, "kind": config.kind, "config": config.to_json()}
    known |= {"created_at": 0.0, "lifecycle": "finished", "lifecycle_at": 1000.0, "batch_size": config.batch_size}
    known |= {"steps_per_epoch": PER_EPOCH, "device": "CPU"}
    return Run(**(known | columns))


def epoch_rows(count: int, *, first: int = 1, **columns: Any) -> list[dict[str, Any]]:
    """So many closed epochs: kNN rises by a point each, and the loss falls."""
    usual = {"acc_top1": 0.5, "t_batch": 0.1, "t_data": 0.0, "t_epoch": 2.0, "t_idle": 0.1, "images_per_second": 100.0}
    return [
        usual | {"epoch": number, "loss": 6.0 - number / 10, "knn_top1": 0.2 + number / 100} | columns
        for number in range(first, first + count)
    ]


def make_side(
    name: str,
    *,
    place: int = 0,
    state: str = "finished",
    settings: Mapping[str, Any] | None = None,
    epochs: Sequence[Mapping[str, Any]] = (),
    evaluations: Sequence[Evaluation] = (),
    checkpoints: Sequence[Checkpoint] = (),
    trunk: tuple[Stretch, ...] = (),
    totals: Totals | None = None,
    **columns: Any,
) -> Side:
    """One run of a comparison; `columns` are those of its row of the store."""
    run = make_run(name, settings=settings, **columns)
    curves = Curves(run_id=run.id, epochs=tuple(epochs), evaluations=tuple(evaluations), checkpoints=tuple(checkpoints))
    return Side(drawn=Drawn(RunRow(run, state, place), curves, trunk), totals=totals or Totals())


def score(layer: str, protocol: str, top1: float, *, epoch: int = 5, **columns: Any) -> Evaluation:
    """One figure of an evaluation after an epoch."""
    known: dict[str, Any] = {"run_id": "x", "step": epoch * PER_EPOCH, "labels_per_class": 0, "seed": 0, "top5": None}
    known |= {"images": 100, "c": None, "seconds": None, "job_id": f"job-{epoch}", "at": float(epoch)}
    return Evaluation(layer=layer, protocol=protocol, top1=top1, **(known | columns))


def line_named(comparison: Comparison, title: str, name: str) -> Line:
    """A row by the beginning of its group's title and its name."""
    group = next(one for one in comparison.groups if one.title.startswith(title))
    return next(line for line in group.lines if line.name == name)


def words(line: Line) -> list[str]:
    """The cells of a row as they are read."""
    return [cell.words for cell in line.cells]
