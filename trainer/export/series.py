"""Rows of the store as values by tag at a step and a time: what loggers call a point. Pure, but for `began_at`."""

from collections.abc import Callable, Mapping
from typing import Any

from trainer.export.moments import Moments
from trainer.export.tags import DEVICE_PREFIX, EPOCH_TAGS, RANK_PREFIX, STEP_TAGS, evaluation_tag
from trainer.store.reader import StoreReader
from trainer.store.records import Run

Row = Mapping[str, Any]
"""A row by column."""

Moment = tuple[int, float, dict[str, float]]
"""A step, UTC seconds, and values by tag."""

_FIGURES = ("top1", "top5", "train_top1", "value")
_WHERE = ("at", "rank")
"""Columns of a sample that say when and where it was taken."""

_MOST_EVENTS = 100_000


def began_at(reader: StoreReader, run: Run) -> float | None:
    """UTC seconds at which the run's trainer first began, if that is known."""
    events = reader.events(run_id=run.id, limit=_MOST_EVENTS)
    return min((event.at for event in events if event.kind == "started"), default=None)


def moment_of(table: str, row: Row, run: Run, moments: Moments) -> Moment:
    """What a row says, with no value where it says nothing that is a number.

    Args:
        table: one of SERIES.
        row: of that table, in which NaN says that a value was measured and not finite.
        run: whose row it is.
        moments: when its steps were taken.
    """
    return SERIES[table](row, run, moments)


def _tagged(row: Row, tags: Mapping[str, str]) -> dict[str, float]:
    return {tag: float(row[name]) for name, tag in tags.items() if row.get(name) is not None}


def _step(row: Row, _run: Run, moments: Moments) -> Moment:
    return row["step"], moments.at(row["step"]), _tagged(row, STEP_TAGS)


def _epoch(row: Row, run: Run, moments: Moments) -> Moment:
    step = row["epoch"] * (run.steps_per_epoch or 1)
    return step, row["at"] or moments.at(step), _tagged(row, EPOCH_TAGS)


def _metric(row: Row, _run: Run, moments: Moments) -> Moment:
    return row["step"], moments.at(row["step"]), {row["name"]: float(row["value"])}


def _device(row: Row, _run: Run, moments: Moments) -> Moment:
    return moments.step_at(row["at"]), row["at"], _sampled(row, DEVICE_PREFIX)


def _rank(row: Row, _run: Run, moments: Moments) -> Moment:
    return moments.step_at(row["at"]), row["at"], _sampled(row, f"{RANK_PREFIX}{row['rank']}/")


def _sampled(row: Row, prefix: str) -> dict[str, float]:
    numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
    return {prefix + name: float(value) for name, value in numbers.items() if name not in _WHERE}


def _evaluation(row: Row, _run: Run, moments: Moments) -> Moment:
    figures = [name for name in _FIGURES if row.get(name) is not None]
    values = {evaluation_tag(row, name): float(row[name]) for name in figures}
    return row["step"], row["at"] or moments.at(row["step"]), values


SERIES: dict[str, Callable[[Row, Run, Moments], Moment]] = {
    "steps": _step,
    "epochs": _epoch,
    "metrics": _metric,
    "device_samples": _device,
    "rank_samples": _rank,
    "evaluations": _evaluation,
}
"""The tables whose rows are points."""
