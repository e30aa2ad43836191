"""A run as TensorBoard's event file, by TensorBoard's own writer.

Event files hold float32. A value that was not finite is written as NaN, one that was never measured not at all.
"""

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.export.about import write_about
from trainer.export.moments import Moments
from trainer.export.tags import DEVICE_PREFIX, EPOCH_TAGS, RANK_PREFIX, STEP_TAGS, evaluation_tag
from trainer.export.target import new_folder, unwritable
from trainer.store.pages import kinds_of, pages
from trainer.store.reader import StoreReader
from trainer.store.records import Run

_FIGURES = ("top1", "top5", "train_top1", "value")

Moment = tuple[int, float, dict[str, float]]
"""A step, UTC seconds, and values by tag."""


def check_tensorboard(what: str) -> None:
    """See that TensorBoard's package is there.

    Args:
        what: needs it, as the beginning of a sentence.

    Raises:
        UsageError: it is not.
    """
    if find_spec("tensorboard") is None:
        raise UsageError(f"{what} needs `pip install 'simclr-tui[tensorboard]'`")


def write_events(reader: StoreReader, run: Run, out: Path, *, force: bool) -> dict[str, int]:
    """Write every series of a run into an event file in a new folder; how many rows of each table went in. Reads only.

    Raises:
        UsageError: the folder is there already, or TensorBoard's package is not installed.
        TrainerError: the disk refused.
        StoreError: the store can't be read.
    """
    check_tensorboard("--to tensorboard")
    rows: dict[str, int] = {}
    moments = Moments(run, reader.epochs(run.id), began_at=_began_at(reader, run))
    try:
        with new_folder(out, force=force) as folder:
            path = folder / f"events.out.tfevents.{int(run.created_at)}.{socket.gethostname()}.{run.id}"
            with path.open("wb") as file:
                writer = _Writer(file, run.created_at)
                for table in _SERIES:
                    rows[table] = writer.write(_SERIES[table](reader, run, moments))
                writer.close()
            write_about(folder, reader, run, rows)
    except OSError as error:
        raise unwritable(out, error) from error
    return rows


class _Writer:
    """Events in TensorBoard's own record format."""

    def __init__(self, file: Any, started_at: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary, self._records = Event, Summary, RecordWriter(file)
        self._records.write(Event(wall_time=started_at, file_version="brain.Event:2").SerializeToString())

    def write(self, found: Iterable[Moment]) -> int:
        """Write events; how many."""
        count = 0
        for step, seconds, values in found:
            count += 1
            summary = self._summary(
                value=[self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
            )
            self._records.write(self._event(wall_time=seconds, step=step, summary=summary).SerializeToString())
        return count

    def close(self) -> None:
        self._records.flush()


def _began_at(reader: StoreReader, run: Run) -> float | None:
    begun = [event.at for event in reader.events(run_id=run.id, limit=100_000) if event.kind == "started"]
    return min(begun, default=None)


def _rows(reader: StoreReader, table: str, run: Run) -> Iterator[dict[str, Any]]:
    names = list(kinds_of(reader, table))
    for page in pages(reader, table, run.id, with_nan=True):
        for row in page:
            yield dict(zip(names, row, strict=True))


def _tagged(row: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, float]:
    return {tag: float(row[name]) for name, tag in tags.items() if row.get(name) is not None}


def _steps(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    for row in _rows(reader, "steps", run):
        yield row["step"], moments.at(row["step"]), _tagged(row, STEP_TAGS)


def _epochs(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    for row in _rows(reader, "epochs", run):
        step = row["epoch"] * (run.steps_per_epoch or 1)
        yield step, row["at"] or moments.at(step), _tagged(row, EPOCH_TAGS)


def _metrics(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    for row in _rows(reader, "metrics", run):
        yield row["step"], moments.at(row["step"]), {row["name"]: float(row["value"])}


def _device(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    kinds = kinds_of(reader, "device_samples")
    tags = {name: DEVICE_PREFIX + name for name, kind in kinds.items() if kind is not str and name != "at"}
    for row in _rows(reader, "device_samples", run):
        yield moments.step_at(row["at"]), row["at"], _tagged(row, tags)


def _ranks(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    kinds = kinds_of(reader, "rank_samples")
    names = [name for name, kind in kinds.items() if kind is not str and name not in ("at", "rank")]
    for row in _rows(reader, "rank_samples", run):
        tags = {name: f"{RANK_PREFIX}{row['rank']}/{name}" for name in names}
        yield moments.step_at(row["at"]), row["at"], _tagged(row, tags)


def _evaluations(reader: StoreReader, run: Run, moments: Moments) -> Iterator[Moment]:
    for row in _rows(reader, "evaluations", run):
        figures: Sequence[str] = [name for name in _FIGURES if row.get(name) is not None]
        if figures:
            seconds = row["at"] or moments.at(row["step"])
            yield row["step"], seconds, {evaluation_tag(row, name): float(row[name]) for name in figures}


_SERIES = {
    "steps": _steps,
    "epochs": _epochs,
    "metrics": _metrics,
    "device_samples": _device,
    "rank_samples": _ranks,
    "evaluations": _evaluations,
}
