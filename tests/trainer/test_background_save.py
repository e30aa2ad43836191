"""Checkpoints that are written behind: one at a time, of one moment, and nothing that the thread meets is lost."""

import errno
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.trainer.test_checkpoint import content
from tests.trainer.test_store import make_run
from trainer import background_save, checkpoint, keeper
from trainer.background_save import THREAD, Saver
from trainer.checkpoint import steps_on_disk
from trainer.config import PretrainConfig
from trainer.errors import NonFiniteError, StoreLostError
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.signals import TAKEN
from trainer.snapshot import Snapshot
from trainer.store import RunStore


class Bench:
    """A saver on a real store, whose thread can be held before it writes."""

    def __init__(self, runs: Path, patch: pytest.MonkeyPatch, **changes: object) -> None:
        self.store = RunStore.open(runs)
        self.keepers_store = RunStore.open(runs)
        self.run_id = make_run(self.store)
        self.folder = checkpoint_dir(runs, self.run_id)
        self.config = PretrainConfig.from_values(changes)
        self.keeper = CheckpointKeeper(self.keepers_store, runs, self.run_id, self.config)
        self.notes: list[str] = []
        self.threads: list[str] = []
        self.go = threading.Event()
        self.go.set()
        self.error: BaseException | None = None
        self.saver = Saver(self.keeper, self._job(), in_background=True, shares_cores=True)  # type: ignore[arg-type]
        real = checkpoint.save

        def held(*args: Any) -> Any:
            self.threads.append(threading.current_thread().name)
            assert self.go.wait(20)
            if self.error is not None:
                raise self.error
            return real(*args)

        patch.setattr(checkpoint, "save", held)

    def _job(self) -> SimpleNamespace:
        def event(kind: str, message: str, *, level: str = "info", step: int | None = None) -> None:
            self.store.event(self.run_id, kind, message, level=level, step=step)

        return SimpleNamespace(
            reporter=SimpleNamespace(note=self.notes.append),
            control=SimpleNamespace(phase=lambda _: nullcontext()),
            event=event,
            warn=lambda kind, message: event(kind, message, level="warning"),
        )

    def save(self, step: int, reason: str = "interval", payload: dict[str, Any] | None = None) -> None:
        """Let a checkpoint be written."""
        self.saver.save(payload or content(step), step=step, epoch=1, reason=reason, knn_top1=None)

    def announced(self) -> list[int]:
        """Steps that the store names."""
        return [row.step for row in self.store.checkpoints(self.run_id)]

    def kinds(self) -> list[str]:
        """Of the events, but the first."""
        return [event.kind for event in self.store.events(run_id=self.run_id)][1:]


@pytest.fixture
def bench(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """One that keeps two checkpoints."""
    bench = Bench(runs, monkeypatch, keep_checkpoints=2, keep_every_epochs=0)
    yield bench
    bench.go.set()
    bench.saver.close()
    with closing(bench.store), closing(bench.keepers_store):
        pass


def test_training_goes_on_while_a_checkpoint_is_written_and_it_is_of_the_moment_it_was_asked_for(bench: Bench) -> None:
    payload = content(1)
    bench.go.clear()
    bench.save(1, payload=payload)
    assert bench.announced() == steps_on_disk(bench.folder) == [], "it is not announced before it is there"
    payload["model"]["w"].fill_(-1.0)
    payload["step"] = 2
    bench.saver.look()
    assert not bench.saver.may_begin
    bench.go.set()
    bench.saver.finish()
    assert bench.saver.may_begin
    assert bench.announced() == [1]
    loaded, _ = checkpoint.load(bench.folder, 1, lambda _: True)
    assert torch.equal(loaded["model"]["w"], content(1)["model"]["w"])
    assert bench.threads == [THREAD]


def test_without_the_copy_a_checkpoint_would_be_of_no_moment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(Snapshot, "take", lambda self, payload: setattr(self, "_payload", payload))
    payload = content(1)
    bench.go.clear()
    bench.save(1, payload=payload)
    payload["model"]["w"].fill_(-1.0)
    bench.go.set()
    bench.saver.finish()
    loaded, _ = checkpoint.load(bench.folder, 1, lambda _: True)
    assert not torch.equal(loaded["model"]["w"], content(1)["model"]["w"])


@pytest.mark.parametrize("reason", ["final", "paused", "stopped", "interrupted"])
def test_what_must_be_durable_before_the_run_leaves_is_written_at_once(bench: Bench, reason: str) -> None:
    bench.save(1, reason)
    assert bench.announced() == [1]
    assert bench.threads == [threading.current_thread().name]


def test_the_setting_no_writes_everything_at_once(bench: Bench) -> None:
    bench.saver._in_background = False
    bench.save(1)
    assert bench.announced() == [1]
    assert THREAD not in bench.threads


def test_one_at_a_time_and_older_ones_go_only_for_one_that_is_there(bench: Bench) -> None:
    for step in (1, 2):
        bench.save(step)
        bench.saver.finish()
    bench.go.clear()
    bench.save(3)
    with pytest.raises(AssertionError):
        bench.save(4)
    assert steps_on_disk(bench.folder) == [2, 1]
    bench.go.set()
    bench.saver.finish()
    assert bench.announced() == steps_on_disk(bench.folder) == [3, 2]


def test_a_disk_that_fails_is_told_at_the_next_look_and_recovers(bench: Bench) -> None:
    bench.error = OSError(errno.ENOSPC, "No space left on device")
    bench.save(1)
    assert bench.saver._work is not None
    bench.saver._work.thread.join()
    assert bench.notes == [], "the thread itself tells nothing"
    bench.saver.look()
    assert "step 1 not written" in bench.notes[0]
    assert bench.kinds() == ["checkpoint-failed"]
    assert not bench.keeper.due
    bench.error = None
    bench.save(2)
    bench.saver.finish()
    assert bench.kinds() == ["checkpoint-failed", "checkpoint-recovered"]
    assert bench.announced() == [2]


@pytest.mark.parametrize("error", [StoreLostError("gone"), ZeroDivisionError("a bug"), KeyboardInterrupt()])
def test_whatever_else_the_thread_meets_reaches_the_loop(bench: Bench, error: BaseException) -> None:
    bench.error = error
    bench.save(1)
    with pytest.raises(type(error)):
        bench.saver.finish()
    bench.saver.look()


def test_weights_that_are_not_finite_in_the_copy_end_the_run_and_are_not_written(bench: Bench) -> None:
    spoilt = content(7)
    spoilt["model"]["w"][3] = torch.nan
    bench.save(7, payload=spoilt)
    with pytest.raises(NonFiniteError, match=r"model\.w is not finite after step 7"):
        bench.saver.finish()
    assert bench.kinds() == ["non-finite"]
    assert steps_on_disk(bench.folder) == bench.announced() == []
    assert bench.threads == []


def test_an_error_that_ends_training_waits_for_what_is_written_and_is_not_hidden_by_it(bench: Bench) -> None:
    bench.go.clear()
    bench.save(1)
    threading.Timer(0.1, bench.go.set).start()
    bench.saver.close()
    assert bench.announced() == [1]
    bench.error = ZeroDivisionError("a bug")
    bench.save(2)
    bench.saver.close()
    assert bench.notes == ["the checkpoint that was being written was not (a bug)"]


def test_a_disk_that_hangs_is_told_once_while_training_goes_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_save, "SLOW_SECONDS", 0.0)
    bench.go.clear()
    bench.save(1)
    for _ in range(3):
        bench.saver.look()
    assert bench.kinds() == ["checkpoint-slow"]


def test_only_what_training_loses_counts_for_the_interval(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing for a second of which training loses nothing makes checkpoints no rarer than it takes."""
    monkeypatch.setattr(keeper, "reads_back", lambda *_: threading.Event().wait(0.2) or True)
    bench.keeper._config = PretrainConfig(checkpoint_seconds=0.01)
    bench.save(1)
    bench.saver.finish()
    assert bench.keeper._cost_seconds < 0.1
    assert bench.keeper._interval_seconds >= 0.2, "no other can be begun meanwhile"
    bench.keeper._config = PretrainConfig(checkpoint_seconds=5)
    bench.save(3)
    bench.saver.finish()
    written = bench.store.checkpoints(bench.run_id)[0].seconds
    assert written is not None
    assert bench.keeper._interval_seconds == pytest.approx(5 - written, abs=0.05), "a kill loses at most 5 s"
    bench.save(2, "final")
    assert bench.keeper._cost_seconds >= 0.2
    assert bench.keeper._interval_seconds >= 20


def test_what_asks_the_keeper_waits_for_the_thread_that_has_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.keeper, "is_better", lambda score: (score, bench.announced()) == (0.5, [1]))
    bench.go.clear()
    bench.save(1)
    threading.Timer(0.1, bench.go.set).start()
    assert bench.saver.is_better(0.5)


@pytest.mark.parametrize("short_of", ["memory", "threads"])
def test_without_memory_for_a_copy_or_a_thread_training_waits_for_its_checkpoints_and_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, short_of: str
) -> None:
    def refuse(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried") if short_of == "memory" else RuntimeError("no thread")

    owner, name = (Snapshot, "take") if short_of == "memory" else (threading.Thread, "start")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, refuse)
        bench.save(1)
    bench.save(2)
    assert bench.announced() == [2, 1]
    assert THREAD not in bench.threads
    assert bench.kinds() == ["checkpoint-at-once"], "it is told once"


def test_a_thread_that_runs_out_of_memory_ends_no_run(bench: Bench) -> None:
    bench.error = MemoryError()
    bench.save(1)
    bench.saver.finish()
    assert bench.kinds() == ["checkpoint-at-once", "checkpoint-failed"]
    bench.error = None
    bench.save(2)
    assert bench.announced() == [2]
    assert bench.threads == [THREAD, threading.current_thread().name]


def test_signals_are_not_for_the_thread_and_what_it_works_counts_where_cores_are_shared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[set[signal.Signals | int]] = []

    def work(*_: object) -> bool:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        began = time.thread_time()
        while time.thread_time() - began < 0.03:
            pass
        return True

    monkeypatch.setattr(keeper, "reads_back", work)
    bench.save(1)
    bench.saver.finish()
    assert masks[0] >= TAKEN
    assert bench.keeper._cost_seconds >= 0.03


def test_each_step_has_its_checkpoint_where_every_step_was_asked_for(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(runs, monkeypatch, checkpoint_seconds=0, keep_checkpoints=9)
    for step in range(1, 5):
        assert bench.saver.may_begin
        assert bench.keeper.due
        bench.saver.finish()
        bench.save(step)
    bench.saver.finish()
    assert bench.announced() == [4, 3, 2, 1]
    bench.store.close()
    bench.keepers_store.close()
