"""A run as TensorBoard's event file, by TensorBoard's own writer.

Event files hold float32. A value that was not finite is written as NaN, one that was never measured not at all.
"""

import socket
import time
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainer.errors import UsageError
from trainer.export.about import write_about
from trainer.export.moments import Moments
from trainer.export.series import SERIES, Moment, began_at, moment_of
from trainer.export.target import new_folder, unwritable
from trainer.store.pages import kinds_of, pages
from trainer.store.reader import StoreReader
from trainer.store.records import Run


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
    moments = Moments(run, reader.epochs(run.id), began_at=began_at(reader, run))
    try:
        with new_folder(out, force=force) as folder:
            path = folder / f"events.out.tfevents.{int(run.created_at)}.{socket.gethostname()}.{run.id}"
            with path.open("wb") as file:
                writer = EventWriter(file, run.created_at)
                for table in SERIES:
                    rows[table] = writer.write(_moments(reader, table, run, moments))
                writer.flush()
            write_about(folder, reader, run, rows)
    except OSError as error:
        raise unwritable(out, error) from error
    return rows


class EventWriter:
    """Events in TensorBoard's own record format."""

    def __init__(self, file: Any, started_at: float) -> None:
        """Args: a file that is open to be written in binary, and UTC seconds at which it begins."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary, self._session = Event, Summary, SessionLog
        self._records = RecordWriter(file)
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

    def restart(self, step: int) -> None:
        """Tell whoever reads that values of this step and above, of any earlier file, do not count."""
        session = self._session(status=self._session.START)
        self._records.write(self._event(wall_time=time.time(), step=step, session_log=session).SerializeToString())

    def flush(self) -> None:
        """Hand everything to the system."""
        self._records.flush()


def _moments(reader: StoreReader, table: str, run: Run, moments: Moments) -> Iterator[Moment]:
    names = list(kinds_of(reader, table))
    for page in pages(reader, table, run.id, with_nan=True):
        for row in page:
            found = moment_of(table, dict(zip(names, row, strict=True)), run, moments)
            if found[2] or table != "evaluations":  # a figure of an evaluation may be in a file alone
                yield found
