"""The store against plain dictionaries: whatever is done to it in whatever order, nothing is lost or doubled."""

import contextlib
import itertools
import math
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.trainer.test_store import step_row
from tests.trainer.test_store_migrations import first_version
from trainer.errors import StoreError
from trainer.store import STEP_SERIES, RunStore, StoreReader
from trainer.store import runs as runs_module
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.queue import delete_row, put_row, queue_rows, set_held
from trainer.store.records import COMMANDS, LIFECYCLE
from trainer.store.series import BUCKET_SIZES

DEVICES = ("cuda:0", "cuda:1")
losses = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False))
batches = st.one_of(st.lists(losses, min_size=1, max_size=9), st.lists(losses, min_size=20, max_size=60))
names = st.text(max_size=20).filter(lambda text: text.isprintable())


@dataclass
class Model:
    """What a run should have, in dictionaries."""

    name: str
    lifecycle: str = "created"
    step: int | None = None
    health: str | None = None
    steps: dict[int, float | None] = field(default_factory=dict)
    epochs: dict[int, float] = field(default_factory=dict)
    metrics: dict[tuple[str, int], float | None] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=lambda: [("created", "pretrain run made")])
    commands: list[list[str | None]] = field(default_factory=list)
    checkpoints: dict[int, str] = field(default_factory=dict)
    beats: int = 0


def brute_force(steps: dict[int, float | None], size: int) -> dict[int, tuple[Any, ...]]:
    """The buckets of a series from all of its values."""
    found = {}
    for bucket, group in itertools.groupby(sorted(steps), lambda step: (step - 1) // size):
        values = [value for step in group if (value := steps[step]) is not None]
        if values:
            mean = math.fsum(values) / len(values)
            scale = max(map(abs, values))
            found[bucket] = (
                min(values),
                max(values),
                pytest.approx(mean, rel=1e-9, abs=1e-9 * scale),
                values[-1],
                len(values),
            )
    return found


class StoreMachine(RuleBasedStateMachine):
    """Does to a store what trainers, dashboards and crashes do to it."""

    runs_ids: Bundle[str] = Bundle("runs_ids")

    def __init__(self) -> None:
        """Make an empty folder."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "runs"
        self.models: dict[str, Model] = {}
        self.queue: dict[str, tuple[str, bool]] = {}
        self.store: RunStore
        self.second: RunStore | None = None
        self.looks = 0

    @initialize(version=st.integers(0, SCHEMA_VERSION - 1))
    def open_first(self, version: int) -> None:
        """A new store, or one that an older version made and that is upgraded."""
        if version:
            first_version(self.path, version=version).close()
        self.store = RunStore.open(self.path)
        assert self.store.schema_version() == SCHEMA_VERSION

    def teardown(self) -> None:
        """Close what is open."""
        for store in (getattr(self, "store", None), self.second):
            if store is not None:
                store.close()
        self.folder.cleanup()

    def writer(self, second: bool) -> RunStore:
        """The connection to write through."""
        return self.second if second and self.second is not None else self.store

    @precondition(lambda self: len(self.models) < 3)
    @rule(target=runs_ids, name=names, second=st.booleans())
    def create(self, name: str, second: bool) -> str:
        run_id = self.writer(second).create_run(kind="pretrain", name=name, config="{}")
        assert run_id not in self.models
        self.models[run_id] = Model(name)
        return run_id

    @rule(run_id=runs_ids, health=st.one_of(st.none(), names))
    def update(self, run_id: str, health: str | None) -> None:
        self.store.update_run(run_id, health=health)
        self.models[run_id].health = health

    @rule(run_id=runs_ids, kind=st.sampled_from(LIFECYCLE), message=names, second=st.booleans())
    def lifecycle(self, run_id: str, kind: str, message: str, second: bool) -> None:
        self.writer(second).lifecycle(run_id, kind, message)
        self.models[run_id].lifecycle = kind
        self.models[run_id].events.append((kind, message))

    @rule(
        run_id=runs_ids,
        batches=st.lists(st.tuples(st.sampled_from([0, 0, 1, 7, 40, -3, -250]), batches), min_size=1, max_size=4),
        second=st.booleans(),
    )
    def append(self, run_id: str, batches: list[tuple[int, list[float | None]]], second: bool) -> None:
        """The next steps, some of them again, as after a resume; steps that are there keep what they are."""
        model = self.models[run_id]
        for back, values in batches:
            first = max(1, max(model.steps, default=0) + 1 - back)
            rows = [step_row(first + k, value) for k, value in enumerate(values)]
            self.writer(second).append(run_id, rows)
            for row in rows:
                model.steps.setdefault(row.step, row.loss)
            model.step = rows[-1].step

    @rule(run_id=runs_ids, kind=st.sampled_from(["test", "replay"]), message=names, second=st.booleans())
    def event(self, run_id: str, kind: str, message: str, second: bool) -> None:
        self.writer(second).event(run_id, kind, message)
        self.models[run_id].events.append((kind, message))

    @rule(run_id=runs_ids, command=st.sampled_from(COMMANDS), second=st.booleans())
    def request(self, run_id: str, command: str, second: bool) -> None:
        self.writer(second).request(run_id, command)
        self.models[run_id].commands.append([command, None])

    @rule(run_id=runs_ids, outcome=st.sampled_from(["done", "outdated"]), second=st.booleans())
    def take(self, run_id: str, outcome: str, second: bool) -> None:
        self.writer(second).take_commands(run_id, outcome)
        for command in self.models[run_id].commands:
            command[1] = command[1] or outcome

    @rule(run_id=runs_ids, step=st.integers(1, 5), reason=st.sampled_from(["epoch", "pause"]))
    def put_checkpoint(self, run_id: str, step: int, reason: str) -> None:
        row = {"run_id": run_id, "step": step, "epoch": 1, "path": "x", "bytes": 1, "sha256": "0", "reason": reason}
        self.store.put_checkpoint(row)
        self.models[run_id].checkpoints[step] = reason

    @rule(run_id=runs_ids, step=st.integers(1, 5))
    def forget_checkpoint(self, run_id: str, step: int) -> None:
        self.store.forget_checkpoint(run_id, step)
        self.models[run_id].checkpoints.pop(step, None)

    @rule(run_id=runs_ids, epoch=st.integers(1, 4), loss=st.floats(0, 10))
    def put_epoch(self, run_id: str, epoch: int, loss: float) -> None:
        self.store.put_epoch(run_id, epoch, {"loss": loss})
        self.models[run_id].epochs[epoch] = loss

    @rule(run_id=runs_ids, step=st.integers(0, 3), name=st.sampled_from("ab"), value=st.floats())
    def put_metrics(self, run_id: str, step: int, name: str, value: float) -> None:
        self.store.put_metrics(run_id, step, {name: value})
        self.models[run_id].metrics[name, step] = value if math.isfinite(value) else None

    @rule(run_id=runs_ids, second=st.booleans())
    def beat(self, run_id: str, second: bool) -> None:
        self.writer(second).beat(run_id, {"source": "cpu", "cpu_percent": 1.0})
        self.models[run_id].beats += 1

    @rule(run_id=runs_ids, device=st.sampled_from(DEVICES), second=st.booleans())
    def enqueue(self, run_id: str, device: str, second: bool) -> None:
        put_row(self.writer(second), run_id, device, 0.0)
        kept = self.queue.get(run_id)
        if kept is not None and kept[0] != device:
            del self.queue[run_id]  # behind the others of its new device
            self.queue[run_id] = (device, kept[1])
        self.queue.setdefault(run_id, (device, False))

    @rule(run_id=runs_ids, held=st.booleans())
    def hold(self, run_id: str, held: bool) -> None:
        assert set_held(self.store, run_id, is_held=held) is (run_id in self.queue)
        if run_id in self.queue:
            self.queue[run_id] = (self.queue[run_id][0], held)

    @rule(run_id=runs_ids)
    def dequeue(self, run_id: str) -> None:
        assert delete_row(self.store, run_id) is (self.queue.pop(run_id, None) is not None)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = RunStore.open(self.path)
        self.everything_is_there_once()

    @precondition(lambda self: self.second is None)
    @rule()
    def open_second(self) -> None:
        self.second = RunStore.open(self.path)

    @precondition(lambda self: self.second is not None)
    @rule()
    def close_second(self) -> None:
        assert self.second is not None
        self.second.close()
        self.second = None

    @rule(run_id=runs_ids, message=names)
    def crash_in_a_transaction(self, run_id: str, message: str) -> None:
        """A process ends between BEGIN and COMMIT: nothing of it is there, and nobody has to wait."""
        assert self.store._guard is not None
        with contextlib.closing(sqlite3.connect(self.path / "runs.db", isolation_level=None)) as doomed:
            doomed.execute("BEGIN IMMEDIATE")
            doomed.execute(
                "INSERT INTO events (run_id, at, level, kind, message) VALUES (?, 0, '', '', ?)", (run_id, message)
            )
            doomed.execute("DELETE FROM steps")
        self.store.event(run_id, "test", message)
        self.models[run_id].events.append(("test", message))

    @precondition(lambda self: self.second is None)
    @rule(run_id=runs_ids)
    def be_killed_in_a_transaction(self, run_id: str) -> None:
        """Go on with the files as they are in the middle of one: what a process leaves that is killed there."""
        after = self.path.with_name(f"{self.path.name}x")
        connection = self.store.connection
        connection.execute("PRAGMA cache_size = 1")  # so that half of it is in the log already
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE runs SET name = hex(randomblob(9000))")
        connection.execute("DELETE FROM steps")
        shutil.copytree(self.path, after, ignore=shutil.ignore_patterns("*-shm"))
        connection.execute("ROLLBACK")
        self.store.close()
        self.path, self.store = after, RunStore.open(after)
        self.everything_is_there_once()

    @rule(run_id=runs_ids)
    def fail_in_a_transaction(self, run_id: str) -> None:
        """An error in the middle of a write takes all of that write back."""
        row = {"run_id": run_id, "step": 1, "dataset": "", "protocol": "", "layer": "", "labels_per_class": 0}
        with pytest.raises(StoreError, match="NOT NULL"):
            self.store.put_evaluations(run_id, [{**row, "seed": 0}, {**row, "seed": None}])
        assert self.store.evaluations(run_id) == []

    @rule()
    def checkpoint(self) -> None:
        """The log is copied back in the middle of everything."""
        assert self.store._guard is not None
        with self.store._guard.held():
            assert self.store._guard.checkpoint(self.store.connection)

    @invariant()
    def looked_at_now_and_then(self) -> None:
        """Reading everything costs more than doing something, and what is wrong stays wrong."""
        self.looks += 1
        if self.looks % 4 == 0:
            self.everything_is_there_once()

    def everything_is_there_once(self) -> None:
        """Compare the store with the dictionaries, through a reader of its own."""
        with contextlib.closing(StoreReader.open(self.path)) as reader:
            assert {run.id for run in reader.runs()} == set(self.models)
            for run_id, model in self.models.items():
                self._compare(reader, run_id, model)
            found = [(row.run_id, (row.device, bool(row.is_held))) for row in queue_rows(reader)]
            assert dict(found) == self.queue
            for device in DEVICES:
                expected = [run_id for run_id, row in self.queue.items() if row[0] == device]
                assert [run_id for run_id, row in found if row[0] == device] == expected

    def _compare(self, reader: StoreReader, run_id: str, model: Model) -> None:
        run = reader.run(run_id)
        assert (run.name, run.lifecycle, run.step, run.health) == (
            model.name,
            model.lifecycle,
            model.step,
            model.health,
        )
        steps = [(row["step"], row["loss"]) for row in reader.steps(run_id)]
        assert steps == sorted(model.steps.items())
        assert all(before[0] < after[0] for before, after in itertools.pairwise(steps))
        assert {row["epoch"]: row["loss"] for row in reader.epochs(run_id)} == model.epochs
        metrics = {(name, step): value for name, rows in reader.metrics(run_id).items() for step, value in rows}
        assert metrics == model.metrics
        assert [(event.kind, event.message) for event in reader.events(run_id=run_id)] == model.events
        commands = reader._rows("SELECT command, outcome FROM commands WHERE run_id = ? ORDER BY id", (run_id,))
        assert [list(row) for row in commands] == model.commands
        assert {row.step: row.reason for row in reader.checkpoints(run_id)} == model.checkpoints
        assert len(reader.device_samples(run_id)) == model.beats
        for size in BUCKET_SIZES:
            assert self._buckets(reader, run_id, "loss", size) == brute_force(model.steps, size)
            ones: dict[int, float | None] = dict.fromkeys(model.steps, 1e-3)
            assert self._buckets(reader, run_id, "lr", size) == brute_force(ones, size)

    @staticmethod
    def _buckets(reader: StoreReader, run_id: str, name: str, size: int) -> dict[int, tuple[Any, ...]]:
        assert name in STEP_SERIES
        query = "SELECT bucket, min, max, mean, last, count FROM buckets WHERE run_id = ? AND name = ? AND size = ?"
        return {row[0]: tuple(row)[1:] for row in reader._rows(query, (run_id, name, size))}


def machine(examples: int, steps: int) -> settings:
    """So many examples of so many steps."""
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )


def test_the_store_is_as_dictionaries_are() -> None:
    run_state_machine_as_test(StoreMachine, settings=machine(10, 25))


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_the_store_is_as_dictionaries_are_200_times_50() -> None:
    run_state_machine_as_test(StoreMachine, settings=machine(200, 50))


@pytest.mark.soak
@pytest.mark.timeout(24 * 3600)
def test_the_store_is_as_dictionaries_are_5000_times_100() -> None:
    run_state_machine_as_test(StoreMachine, settings=machine(5000, 100))


def replacing(connection: sqlite3.Connection, run_id: str, rows: Any) -> None:
    """A replayed step takes the place of the one before."""
    for row in rows:
        connection.execute("DELETE FROM steps WHERE run_id = ? AND step = ?", (run_id, row.step))
    real_append(connection, run_id, rows)


def without_old_buckets(connection: sqlite3.Connection, run_id: str, rows: Any) -> None:
    """The buckets of a batch are made of that batch alone."""
    real_append(connection, run_id, rows)
    first = min(row.step for row in rows)
    if (first - 1) % 16:
        connection.execute("UPDATE buckets SET count = count - 1 WHERE size = 16 AND bucket = ?", ((first - 1) // 16,))


def forgetful(connection: sqlite3.Connection, run_id: str, rows: Any) -> None:
    """The last row of a long batch is lost."""
    real_append(connection, run_id, rows if len(rows) < 5 else rows[:-1])


real_append: Callable[..., None] = vars(runs_module)["append_steps"]


ONLY_FIND = settings(machine(200, 25), phases=[Phase.generate])
"""A fault is to be found, not to be made small."""


@pytest.mark.parametrize(
    "broken",
    [
        forgetful,
        pytest.param(replacing, marks=pytest.mark.reliability),
        pytest.param(without_old_buckets, marks=pytest.mark.reliability),
    ],
)
def test_a_store_with_a_fault_is_not_as_dictionaries_are(
    broken: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative controls."""
    monkeypatch.setattr(runs_module, "append_steps", broken)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(StoreMachine, settings=ONLY_FIND)
