"""Reading the run store; nothing here writes, and nothing here is imported late or slow."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from trainer.errors import StoreError, UnknownRunError
from trainer.paths import store_file
from trainer.quote import quoted
from trainer.store.connect import connect_reader, damaged, reading
from trainer.store.filesystem import file_system_type, network_warning
from trainer.store.records import (
    PIN_CHECKPOINT,
    TRASHED,
    AnatomyRow,
    Artifact,
    Checkpoint,
    Command,
    Evaluation,
    Event,
    Record,
    Run,
    TrialRow,
)
from trainer.store.series import Point, read_metric, read_series

LONGEST_ASKED = 240
"""Characters of an id or name that are looked for; no run has a longer one."""

_WITH_ANATOMY = 4
_WITH_ARTIFACTS = 2
"""The schema version that brought the table; a store is read as it is, of whatever version up to this one's."""

_WORDS = frozenset({"run_id", "name", "source", "throttle_reasons", "host", "device", "uuid"})
_WORD, _NUMBER = (str, type(None)), (int, float, type(None))

R = TypeVar("R", bound=Record)

_RUN_COLUMNS = """
    SELECT r.*,
      (SELECT loss FROM steps s WHERE s.run_id = r.id ORDER BY step DESC LIMIT 1) AS loss,
      (SELECT knn_top1 FROM epochs e WHERE e.run_id = r.id AND knn_top1 IS NOT NULL
        ORDER BY epoch DESC LIMIT 1) AS knn_top1,
      (SELECT command FROM commands c WHERE c.run_id = r.id AND c.taken_at IS NULL
        ORDER BY c.id DESC LIMIT 1) AS pending_command
    FROM runs r
"""

ALL_RUNS = _RUN_COLUMNS + " ORDER BY r.created_at DESC, r.id"
"""Every run, the newest first; its first column is the id."""

_BY_NAME = """
    SELECT id FROM runs WHERE name = ?
    ORDER BY EXISTS (SELECT 1 FROM annotations a WHERE a.run_id = runs.id AND a.key = ?), created_at DESC LIMIT 1
"""


class StoreReader:
    """What is in a runs folder. Every method reads only and holds no transaction when it returns.

    Every method raises StoreError where the file is locked, can't be read, or is damaged. A connection must not
    cross a fork (sqlite.org/howtocorrupt.html §2.6), so every call checks that the process is the one that opened it.
    """

    def __init__(self, connection: sqlite3.Connection, runs: Path) -> None:
        """Args: an open connection with `sqlite3.Row` rows, and the runs folder it belongs to."""
        self.connection = connection
        self.runs_path = runs
        self._file = store_file(runs)
        self._process = os.getpid()

    @classmethod
    def open(cls, runs: Path) -> Self:
        """Open the store of a runs folder read-only.

        Raises:
            StoreError: there is none, or it cannot be read.
            StoreVersionError: it was made by a newer version.
        """
        return cls(connect_reader(store_file(runs)), runs)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _rows(self, query: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query; every read goes through here or through `read_series`."""
        self._check_process()
        with reading(self._file):
            rows: list[sqlite3.Row] = self.connection.execute(query, values).fetchall()
            return rows

    def _records(self, kind: type[R], query: str, values: Sequence[Any] = ()) -> list[R]:
        """The rows of a query as records."""
        rows = self._rows(query, values)
        try:
            return [kind.from_row(row) for row in rows]
        except TypeError as error:
            raise damaged(self._file, error) from error

    def _figures(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query in which all is numbers or nothing but what `_WORDS` names."""
        self._check_process()
        with reading(self._file):
            cursor = self.connection.cursor()
            cursor.row_factory = None  # plain tuples, which are made and taken apart in half the time
            rows = cursor.execute(query, values).fetchall()
        names = [column[0] for column in cursor.description]
        for name, column in zip(names, zip(*rows, strict=True), strict=False):  # by columns, which is far faster
            wrong = set(map(type, column)).difference(_WORD if name in _WORDS else _NUMBER)
            if wrong:
                reason = f"{name} of a row of figures is of type {min(kind.__name__ for kind in wrong)}"
                raise damaged(self._file, reason)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreError("the run store was opened by another process; open it again in this one")

    def warning(self) -> str | None:
        """A sentence on what is wrong with the place of the store, or None."""
        path = self._file
        return network_warning(path, file_system_type(path))

    def schema_version(self) -> int:
        """Number of migrations that made the store; 0 as long as the first trainer is making it, without a run."""
        return int(self._rows("PRAGMA user_version")[0][0])

    def data_version(self) -> int:
        """A number that becomes another one once anybody else has committed something."""
        return int(self._rows("PRAGMA data_version")[0][0])

    def runs(self) -> list[Run]:
        """Every run, the newest first."""
        return self._records(Run, ALL_RUNS)

    def names(self, limit: int) -> list[tuple[str, str]]:
        """(id, name) of the newest runs, the newest first."""
        return [
            tuple(row) for row in self._rows("SELECT id, name FROM runs ORDER BY created_at DESC LIMIT ?", (limit,))
        ]

    def run(self, run_id: str) -> Run:
        """One run by its id.

        Raises:
            UnknownRunError: there is none.
        """
        found = self._records(Run, _RUN_COLUMNS + " WHERE r.id = ?", (run_id,))
        if not found:
            raise UnknownRunError(f"no run has the id {quoted(run_id)}; `simclr-tui ls` lists them")
        return found[0]

    def find(self, text: str) -> Run:
        """One run by its id, the beginning of its id, or its name: the newest of that name, one in the trash last.

        Raises:
            UnknownRunError: there is none, or several ids begin so.
        """
        if len(text) > LONGEST_ASKED or not text.isprintable():  # SQLite takes no text that is no Unicode
            raise UnknownRunError(f"no run has the id or name {quoted(text)}; `simclr-tui ls` lists them")
        by_id = [row[0] for row in self._rows("SELECT id FROM runs WHERE id = ?", (text,))]
        by_name = self._rows(_BY_NAME, (text, TRASHED))
        found = by_id or [row[0] for row in by_name]
        if not found and text:
            starts = self._rows("SELECT id FROM runs WHERE substr(id, 1, ?) = ?", (len(text), text))
            found = [row[0] for row in starts]
        if len(found) > 1:
            raise UnknownRunError(f"{quoted(text)} begins {len(found)} ids; write more of it")
        if not found:
            raise UnknownRunError(f"no run has the id or name {quoted(text)}; `simclr-tui ls` lists them")
        return self.run(found[0])

    def events(self, *, run_id: str | None = None, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with an id above `after`, the newest `limit` of them, oldest first."""
        where, values = ("AND run_id = ?", (run_id,)) if run_id else ("", ())
        return self._records(
            Event, f"SELECT * FROM events WHERE id > ? {where} ORDER BY id DESC LIMIT ?", (after, *values, limit)
        )[::-1]

    def pending_commands(self, run_id: str) -> list[Command]:
        """What a run was asked to do and has not taken up, oldest first."""
        return self._records(
            Command, "SELECT * FROM commands WHERE run_id = ? AND taken_at IS NULL ORDER BY id", (run_id,)
        )

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The checkpoints of a run, the newest first."""
        return self._records(Checkpoint, "SELECT * FROM checkpoints WHERE run_id = ? ORDER BY step DESC", (run_id,))

    def pinned_checkpoints(self, run_id: str) -> frozenset[int]:
        """Steps whose checkpoints a person asked to keep."""
        rows = self._rows("SELECT value FROM annotations WHERE run_id = ? AND key = ?", (run_id, PIN_CHECKPOINT))
        return frozenset(int(row[0]) for row in rows if str(row[0]).isdecimal())

    def checkpoint_failure(self, run_id: str) -> Event | None:
        """The event of a checkpoint that could not be written, where none has been written since."""
        found = self._records(
            Event,
            "SELECT * FROM events WHERE run_id = ? AND kind = 'checkpoint-failed'"
            " AND at > ifnull((SELECT max(at) FROM checkpoints c WHERE c.run_id = events.run_id), 0)"
            " ORDER BY id DESC LIMIT 1",
            (run_id,),
        )
        return found[0] if found else None

    def evaluations(self, run_id: str) -> list[Evaluation]:
        """The evaluations of a run, in the order in which they were made."""
        return self._records(Evaluation, "SELECT * FROM evaluations WHERE run_id = ? ORDER BY at, rowid", (run_id,))

    def artifacts(self, run_id: str) -> list[Artifact]:
        """The files that evaluations of a run made, the newest first."""
        if self.schema_version() < _WITH_ARTIFACTS:
            return []
        return self._records(Artifact, "SELECT * FROM artifacts WHERE run_id = ? ORDER BY at DESC, name", (run_id,))

    def anatomy(self, run_id: str, *, after: int = 0) -> list[AnatomyRow]:
        """The parts of a run's epochs above an epoch, epoch by epoch."""
        if self.schema_version() < _WITH_ANATOMY:
            return []
        query = "SELECT * FROM anatomy WHERE run_id = ? AND epoch > ? ORDER BY epoch, rowid"
        return self._records(AnatomyRow, query, (run_id, after))

    def trials(self, run_id: str) -> list[TrialRow]:
        """What the trials of a benchmark were like, round by round; an older store has none."""
        if self.schema_version() < _WITH_ANATOMY:
            return []
        return self._records(
            TrialRow, "SELECT * FROM benchmark_trials WHERE run_id = ? ORDER BY round, trial", (run_id,)
        )

    def metrics(self, run_id: str, *, after: int = -1) -> dict[str, list[tuple[int, float | None]]]:
        """The series of `metrics` above a step: name → (step, value) in the order of steps.

        A value is None where it was not finite.
        """
        query = "SELECT name, step, value FROM metrics WHERE run_id = ? AND step > ? ORDER BY name, step"
        series: dict[str, list[tuple[int, float | None]]] = {}
        for row in self._figures(query, (run_id, after)):
            series.setdefault(row["name"], []).append((row["step"], row["value"]))
        return series

    def epochs(self, run_id: str, *, after: int = 0) -> list[dict[str, Any]]:
        """The rows of `epochs` above an epoch, in order."""
        return self._figures("SELECT * FROM epochs WHERE run_id = ? AND epoch > ? ORDER BY epoch", (run_id, after))

    def steps(self, run_id: str, *, after: int = 0, limit: int = -1) -> list[dict[str, Any]]:
        """The rows of `steps` above a step, in order."""
        return self._figures(
            "SELECT * FROM steps WHERE run_id = ? AND step > ? ORDER BY step LIMIT ?", (run_id, after, limit)
        )

    def epoch_means(self, run_id: str, epoch: int) -> dict[str, Any]:
        """Means over the steps of an epoch, and of the device's utilisation while it went on."""
        row = self._rows(
            "SELECT avg(loss) AS loss, avg(acc_top1) AS acc_top1, avg(acc_top5) AS acc_top5,"
            " avg(acc_mean_pos) AS acc_mean_pos, avg(t_data) AS t_data, avg(t_batch) AS t_batch"
            " FROM steps WHERE run_id = ? AND epoch = ?",
            (run_id, epoch),
        )[0]
        since = self._rows(
            "SELECT max(at) FROM (SELECT at FROM epochs WHERE run_id = ? AND epoch = ? UNION ALL"
            " SELECT at FROM events WHERE run_id = ? AND kind IN ('started', 'resumed'))",
            (run_id, epoch - 1, run_id),
        )[0][0]
        gpu_util = self._rows(
            "SELECT avg(gpu_util) FROM device_samples WHERE run_id = ? AND at > ?", (run_id, since or 0.0)
        )[0][0]
        return dict(row) | {"gpu_util": gpu_util}

    def last_step(self, run_id: str) -> int:
        """The highest step that was logged, or 0."""
        row = self._figures("SELECT max(step) AS step FROM steps WHERE run_id = ?", (run_id,))[0]
        return int(row["step"] or 0)

    def device_samples(self, run_id: str, *, after: float = 0.0, limit: int = 3600) -> list[dict[str, Any]]:
        """The newest samples taken after a time, oldest first."""
        return self._figures(
            "SELECT * FROM device_samples WHERE run_id = ? AND at > ? ORDER BY at DESC LIMIT ?",
            (run_id, after, limit),
        )[::-1]

    def latest_device_sample(self) -> dict[str, Any] | None:
        """The sample that was taken last, of whatever run."""
        found = self._figures("SELECT * FROM device_samples ORDER BY id DESC LIMIT 1")
        return found[0] if found else None

    def command_outcome(self, command_id: int) -> str | None:
        """What came of something that a run was asked to do, or None until it is taken up."""
        rows = self._rows("SELECT outcome FROM commands WHERE id = ?", (command_id,))
        return str(rows[0][0]) if rows and rows[0][0] is not None else None

    def series(self, run_id: str, name: str, *, first: int, last: int, columns: int) -> list[Point]:
        """A step series between two steps, reduced as `read_series` does.

        Raises:
            KeyError: the name is not one of STEP_SERIES.
        """
        self._check_process()
        with reading(self._file):
            points = read_series(self.connection, run_id, name, first=first, last=last, columns=columns)
        return self._checked(points, name)

    def metric(self, run_id: str, name: str, *, first: int, last: int, columns: int) -> list[Point]:
        """A series of `metrics` between two steps, reduced as `read_metric` does; empty where there is none."""
        self._check_process()
        with reading(self._file):
            points = read_metric(self.connection, run_id, name, first=first, last=last, columns=columns)
        return self._checked(points, name)

    def _checked(self, points: list[Point], name: str) -> list[Point]:
        """Raises StoreError where a series holds what is no number."""
        if not {type(value) for point in points for value in (point.low, point.high, point.mean, point.last)}.issubset(
            _NUMBER
        ):
            raise damaged(self._file, f"the series {name} holds what is no number")
        return points
