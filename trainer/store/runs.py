"""Writing the run store: runs and their lifecycle, what they measured, what they were asked to do."""

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from trainer.energy import NOTHING, Used
from trainer.paths import make_runs_dir, new_run_id, run_dir, store_file
from trainer.process import made_by_me
from trainer.sharing import make_folder
from trainer.store.connect import connect_writer, immediate
from trainer.store.energy import add_energy, energy_so_far, sampled_joules
from trainer.store.guard import WriteGuard
from trainer.store.reader import StoreReader
from trainer.store.records import COMMANDS, LIFECYCLE, PIN_CHECKPOINT, StepRow
from trainer.store.series import append_steps, refresh_metric


class RunStore(StoreReader):
    """The run store of a folder, to read and to write.

    Writes are short immediate transactions, one at a time in all processes.
    """

    @classmethod
    def open(cls, runs: Path) -> Self:
        """Open the store, making the folder, the file and the newest schema where they are missing.

        Raises:
            StoreError: the folder or the file cannot be used.
            StoreVersionError: the store was made by a newer version.
        """
        make_runs_dir(runs)
        db, guard = connect_writer(store_file(runs))
        store = cls(db.conn, runs)
        store._guard = guard
        return store

    _guard: WriteGuard | None = None

    def _write(self, *, durable: bool = False) -> Any:
        self._check_process()
        return immediate(self.connection, durable=durable, guard=self._guard)

    def wait_at_most(self, seconds: float) -> None:
        """Let writes wait so long for those of others, instead of BUSY_TIMEOUT_SECONDS."""
        self.connection.execute(f"PRAGMA busy_timeout = {1000 * seconds:.0f}")
        if self._guard is not None:
            self._guard.timeout_seconds = seconds

    def create_run(
        self,
        *,
        kind: str,
        name: str,
        config: str,
        preset: str | None = None,
        source_run_id: str | None = None,
        batch_size: int | None = None,
    ) -> str:
        """Add a run that has not started, make its folder and return its id. Commits durably."""
        run_id = new_run_id()
        make_folder(run_dir(self.runs_path, run_id))
        now, me = time.time(), made_by_me()
        with self._write(durable=True) as connection:
            connection.execute(
                "INSERT INTO runs (id, name, kind, config, preset, created_at, source_run_id, lifecycle,"
                " lifecycle_at, batch_size, owner, owner_uid) VALUES (?, ?, ?, ?, ?, ?, ?, 'created', ?, ?, ?, ?)",
                (run_id, name, kind, config, preset, now, source_run_id, now, batch_size, *me.values()),
            )
            _insert_event(connection, run_id, "info", "created", f"{kind} run made", None, now)
        return run_id

    def update_run(self, run_id: str, **columns: Any) -> None:
        """Set columns of a run's row. Commits."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._write() as connection:
            connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id))

    def create_fork(self, run: dict[str, Any], checkpoint: dict[str, Any], message: str) -> None:
        """Add a run that begins from a checkpoint which lies in its folder already, and tell its parent.

        Commits durably, all of it or nothing.

        Args:
            run: columns of `runs`, with the id, the parent's id and the parent's step.
            checkpoint: columns of `checkpoints`.
            message: for the events of both.
        """
        now = time.time()
        run = {"created_at": now, "lifecycle": "created", "lifecycle_at": now, **made_by_me(), **run}
        with self._write(durable=True) as connection:
            _insert_new(connection, "runs", run)
            _insert(connection, "checkpoints", {"at": now, **checkpoint})
            for run_id, kind in ((run["id"], "created"), (run["parent_run_id"], "forked")):
                _insert_event(connection, run_id, "info", kind, message, run["parent_step"], now)

    def update_and_tell(
        self, run_id: str, kind: str, message: str, *, level: str = "info", step: int | None = None, **columns: Any
    ) -> None:
        """Set columns of a run's row and record the event that says so, both or neither. Commits durably."""
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._write(durable=True) as connection:
            connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id))
            _insert_event(connection, run_id, level, kind, message, step, time.time())

    def lifecycle(
        self,
        run_id: str,
        kind: str,
        message: str,
        *,
        level: str = "info",
        exit_code: int | None = None,
        **columns: Any,
    ) -> None:
        """Record that a run was launched, started, paused, … and set columns with it. Commits durably.

        Args:
            run_id: the run.
            kind: one of LIFECYCLE.
            message: for the event.
            level: info, warning or error.
            exit_code: of the process that is about to end.
            columns: further columns of `runs`, such as the owner's identity.
        """
        assert kind in LIFECYCLE, kind
        now = time.time()
        columns |= {"lifecycle": kind, "lifecycle_at": now, "exit_code": exit_code}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._write(durable=True) as connection:
            connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id))
            _insert_event(connection, run_id, level, kind, message, None, now)

    def set_launched_process(self, run_id: str, owner: dict[str, Any]) -> None:
        """Note which process was launched for a run, unless it has already claimed the run itself. Commits."""
        assignments = ", ".join(f"{name} = ?" for name in owner)
        with self._write() as connection:
            connection.execute(
                f"UPDATE runs SET {assignments} WHERE id = ? AND lifecycle = 'launched'", (*owner.values(), run_id)
            )

    def event(self, run_id: str, kind: str, message: str, *, level: str = "info", step: int | None = None) -> None:
        """Record something that happened to a run. Commits."""
        with self._write() as connection:
            _insert_event(connection, run_id, level, kind, message, step, time.time())

    def append(self, run_id: str, rows: Sequence[StepRow], **progress: Any) -> None:
        """Log steps, bring their buckets up to date and move the run's progress. Commits once."""
        if not rows:
            return
        columns = {"step": rows[-1].step, "epoch": rows[-1].epoch, "progress_at": time.time(), **progress}
        assignments = ", ".join(f"{name} = ?" for name in columns)
        with self._write() as connection:
            append_steps(connection, run_id, rows)
            connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id))

    def put_epoch(self, run_id: str, epoch: int, values: dict[str, Any]) -> None:
        """Write the row of an epoch; after a resume it replaces one that was written before. Commits.

        Beside the values it has the energy that the run had taken by then.
        """
        with self._write() as connection:
            used = energy_so_far(connection, run_id)
            _insert(connection, "epochs", {"run_id": run_id, "epoch": epoch, "at": time.time(), **used, **values})

    def put_anatomy(self, run_id: str, epoch: int, rows: Iterable[dict[str, Any]]) -> None:
        """Write the parts of an epoch in the place of those that were there. Commits.

        Args:
            run_id: the run.
            epoch: counted from 1.
            rows: columns of `anatomy` but the run and the epoch.
        """
        with self._write() as connection:
            connection.execute("DELETE FROM anatomy WHERE run_id = ? AND epoch = ?", (run_id, epoch))
            for row in rows:
                _insert(connection, "anatomy", {"run_id": run_id, "epoch": epoch, **row})

    def put_trial(self, row: dict[str, Any]) -> None:
        """Write what a trial of a benchmark was like in a round, in the place of an earlier try. Commits."""
        self._put("benchmark_trials", {"at": time.time(), **row})

    def put_evaluations(self, run_id: str, rows: Iterable[dict[str, Any]]) -> None:
        """Write figures of an evaluation; the same figure made again replaces the older one. Commits."""
        now = time.time()
        with self._write() as connection:
            for row in rows:
                _insert(connection, "evaluations", {"run_id": run_id, "at": now, **row})

    def put_metrics(self, run_id: str, step: int, values: dict[str, float]) -> None:
        """Write figures of a step by name and bring their buckets up to date. Commits once.

        A figure made again replaces the older one. A value that is not finite is stored as NULL.
        """
        with self._write() as connection:
            for name, value in values.items():
                row = {"run_id": run_id, "name": name, "step": step, "value": value if math.isfinite(value) else None}
                _insert(connection, "metrics", row)
                refresh_metric(connection, run_id, name, step)

    def put_artifact(self, row: dict[str, Any]) -> None:
        """Announce a file that an evaluation made; one of the same name replaces the older row. Commits durably."""
        with self._write(durable=True) as connection:
            _insert(connection, "artifacts", {"at": time.time(), **row})

    def put_checkpoint(self, row: dict[str, Any]) -> None:
        """Announce a checkpoint that is on the disk and verified. Commits durably."""
        with self._write(durable=True) as connection:
            _insert(connection, "checkpoints", {"at": time.time(), **row})

    def set_verified(self, run_id: str, step: int, at: float | None) -> None:
        """Note when a checkpoint's bytes were read back and found right, None where they were not. Commits."""
        with self._write() as connection:
            connection.execute(
                "UPDATE checkpoints SET verified_at = ? WHERE run_id = ? AND step = ?", (at, run_id, step)
            )

    def pin_checkpoint(self, run_id: str, step: int) -> None:
        """Keep a checkpoint until it is unpinned, whatever retention says. Commits durably."""
        with self._write(durable=True) as connection:
            row = {"run_id": run_id, "key": PIN_CHECKPOINT, "value": str(step), "at": time.time()}
            _insert(connection, "annotations", row)

    def unpin_checkpoint(self, run_id: str, step: int) -> None:
        """Leave a checkpoint to retention again. Commits."""
        with self._write() as connection:
            connection.execute(
                "DELETE FROM annotations WHERE run_id = ? AND key = ? AND value = ?",
                (run_id, PIN_CHECKPOINT, str(step)),
            )

    def forget_checkpoint(self, run_id: str, step: int) -> None:
        """Take back the announcement of a checkpoint whose file is about to go or is damaged. Commits."""
        with self._write() as connection:
            connection.execute("DELETE FROM checkpoints WHERE run_id = ? AND step = ?", (run_id, step))

    def begin_energy(self, run_id: str) -> None:
        """Begin a run's sum of energy with what its samples tell, where a version before left no sum. Commits."""
        query = "SELECT 1 FROM runs WHERE id = ? AND energy_joules IS NULL"
        joules = sampled_joules(self, run_id) if self._rows(query, (run_id,)) else None
        if joules is not None:
            with self._write() as connection:
                add_energy(connection, run_id, Used(card_joules=joules))

    def beat(self, run_id: str, sample: dict[str, Any], used: Used = NOTHING) -> None:
        """Note that the run's process lives, with a sample of its device and what was used since the last one. Commits.

        Args:
            run_id: the run.
            sample: columns of `device_samples`.
            used: energy that is added to the run's.
        """
        now = time.time()
        with self._write() as connection:
            connection.execute("UPDATE runs SET alive_at = ? WHERE id = ?", (now, run_id))
            add_energy(connection, run_id, used)
            _insert(connection, "device_samples", {"run_id": run_id, "at": now, **sample})

    def put_rank_samples(self, run_id: str, rows: Sequence[dict[str, Any]]) -> None:
        """Store what each rank of a run did, at this moment where a row does not say. Commits."""
        now = time.time()
        with self._write() as connection:
            for row in rows:
                _insert(connection, "rank_samples", {"run_id": run_id, "at": now, **row})

    def request(self, run_id: str, command: str) -> int:
        """Ask a live run to pause, stop or save; the id of the command. Commits durably."""
        assert command in COMMANDS, command
        now, me = time.time(), made_by_me()
        with self._write(durable=True) as connection:
            cursor = connection.execute(
                "INSERT INTO commands (run_id, command, at) VALUES (?, ?, ?)", (run_id, command, now)
            )
            query = "SELECT 1 FROM runs WHERE id = ? AND owner_uid IS NOT NULL AND owner_uid != ?"
            if connection.execute(query, (run_id, me["owner_uid"])).fetchone() is not None:
                _insert_event(connection, run_id, "info", "asked", f"{me['owner']} asked it to {command}", None, now)
            return int(cursor.lastrowid)

    def take_commands(self, run_id: str, outcome: str, *, before: float | None = None) -> None:
        """Mark what a run was asked to do as taken up, with what came of it. Commits.

        Args:
            run_id: the run.
            outcome: what came of it.
            before: leave what was asked for at that time (UTC seconds) or later.
        """
        now = time.time()
        with self._write() as connection:
            connection.execute(
                "UPDATE commands SET taken_at = ?, outcome = ? WHERE run_id = ? AND taken_at IS NULL AND at < ?",
                (now, outcome, run_id, math.inf if before is None else before),
            )

    def _put(self, table: str, row: dict[str, Any]) -> None:
        with self._write() as connection:
            _insert(connection, table, row)


def _insert(connection: Any, table: str, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


def _insert_new(connection: Any, table: str, row: dict[str, Any]) -> None:
    """Insert a row whose key must not be there yet."""
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


def _insert_event(
    connection: Any, run_id: str, level: str, kind: str, message: str, step: int | None, at: float
) -> None:
    # The name of a file need not be Unicode, and SQLite's text is.
    text = message.encode("utf-8", "backslashreplace").decode()
    row = {"run_id": run_id, "at": at, "level": level, "kind": kind, "message": text, "step": step}
    _insert(connection, "events", row)
