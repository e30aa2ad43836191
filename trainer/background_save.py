"""Checkpoints that are written at once, or from a copy by a thread while training goes on.

Training stands still for the copy alone (trainer.snapshot). The thread looks for values that are not finite,
serialises, hashes, writes, syncs, reads back, announces and prunes, with a connection of its own to the store; one
checkpoint at a time. What came of it is heard by the loop at its next look, so that nothing the thread meets is lost.
A pause, a stop and the end wait for the one that is being written, and then write their own at once.
(The two halves are those of torch.distributed.checkpoint's async_save and of CheckFreq, Mohan et al., FAST 2021.)

A thread and no process: serialising, hashing, writing and reading let go of the interpreter's lock for nearly all of
their time, and `benchmarks/checkpoint_cost.py` measures what is left.
"""

import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

import torch

from trainer.errors import NonFiniteError, StoreError
from trainer.guard import first_spoilt
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.report import duration
from trainer.signals import TAKEN
from trainer.snapshot import Snapshot

BEHIND = frozenset({"interval", "best", "milestone", "asked"})
"""Reasons of checkpoints that nobody waits for."""

THREAD = "checkpoint"
"""Name of the thread that writes."""

SLOW_SECONDS = 300.0
"""Writing for so long is told: the disk may hang, and no other checkpoint is made meanwhile."""

_LOOK_SECONDS = 0.5


@dataclass(slots=True)
class _Work:
    """A checkpoint that is being written behind."""

    step: int
    thread: threading.Thread
    since: float
    error: BaseException | None = None
    is_told: bool = False


class Saver:
    """Writes the checkpoints of a run, in the foreground or behind.

    While a thread writes it alone uses the keeper; the methods here see to that.
    """

    def __init__(self, keeper: CheckpointKeeper, job: Job, *, in_background: bool, shares_cores: bool) -> None:
        """Args:
        keeper: with a connection to the store that nobody else uses, if anything is written behind.
        job: the run, in the hands of the thread that trains.
        in_background: whether checkpoints that nobody waits for are written behind.
        shares_cores: whether training works on the CPU, so that what the thread works is taken from it.
        """
        self._keeper = keeper
        self._job = job
        self._in_background = in_background
        self._shares_cores = shares_cores
        self._snapshot = Snapshot()
        self._work: _Work | None = None

    @property
    def may_begin(self) -> bool:
        """Whether a checkpoint that is due may be begun: none is being written, or each step must have its own."""
        return self._work is None or self._keeper.is_for_every_step

    def look(self) -> None:
        """Hear what came of the checkpoint that was written behind, if it is done. Waits for nothing.

        Raises:
            NonFiniteError: its weights are spoilt, so it was not written; the last checkpoint stands.
            TrainerError: the store is lost.
        """
        work = self._work
        if work is None:
            return
        if work.thread.is_alive():
            self._tell_if_slow(work)
            return
        self._work = None
        if isinstance(work.error, OSError | StoreError):
            self._job.reporter.note(self._keeper.failed(work.step, work.error))
        elif isinstance(work.error, MemoryError | torch.OutOfMemoryError):
            self._do_without(work.error)
            self._job.reporter.note(self._keeper.failed(work.step, work.error))
        elif work.error is not None:
            self._tell_if_spoilt(work.error, work.step)
            raise work.error

    def finish(self) -> None:
        """Wait for the checkpoint that is being written, and hear what came of it. Raises as `look` does."""
        while self._work is not None:
            self._work.thread.join(_LOOK_SECONDS)
            self.look()

    def close(self) -> None:
        """Wait for what is being written, where training has ended by an error, which what came of it must not hide."""
        if self._work is None:
            return
        with self._job.control.phase("saving"):
            try:
                self.finish()
            except Exception as error:
                self._job.reporter.note(f"the checkpoint that was being written was not ({error})")

    def save(self, payload: dict[str, Any], *, step: int, epoch: int, reason: str, knn_top1: float | None) -> None:
        """Write a checkpoint, or copy what it holds and let it be written. Nothing may be being written: see `finish`.

        Args:
            payload: what a resumed run needs, of this moment.
            step: the last step that is in it; every step up to it must be committed.
            epoch: the epoch of that step.
            reason: why; those of `BEHIND` are written behind.
            knn_top1: the online kNN score of exactly these weights, if there is one.

        Raises:
            NonFiniteError: the weights are spoilt and must not be saved.
            OSError: the disk refused; what was there before is untouched.
            StoreError: the store could not announce it.
        """
        assert self._work is None
        about: dict[str, Any] = {"step": step, "epoch": epoch, "reason": reason, "knn_top1": knn_top1}
        if self._in_background and reason in BEHIND and self._save_behind(payload, about):
            return
        try:
            _refuse_spoilt(payload, step)
        except NonFiniteError as error:
            self._tell_if_spoilt(error, step)
            raise
        self._keeper.save(payload, **about)

    def is_better(self, knn_top1: float | None) -> bool:
        """Whether a score is worth a checkpoint, as the keeper has it, once nothing is written. Raises as `look`."""
        self.finish()
        return self._keeper.is_better(knn_top1)

    def _save_behind(self, payload: dict[str, Any], about: dict[str, Any]) -> bool:
        """Copy and begin to write; whether there was memory for the copy, and a thread."""
        started = time.perf_counter()
        try:
            self._snapshot.take(payload)
            self._begin(about, blocked_seconds=time.perf_counter() - started)
        except (MemoryError, RuntimeError) as error:
            self._do_without(error)
            return False
        return True

    def _do_without(self, error: BaseException) -> None:
        """Let training wait for its checkpoints, which takes less memory. A run that trains must not end by a copy."""
        self._in_background, self._work, self._snapshot = False, None, Snapshot()
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        self._job.warn(
            "checkpoint-at-once",
            f"training waits for its checkpoints from here on, since one could not be written behind it ({reason}); "
            "free some memory, or give --no-checkpoint-in-background",
        )

    def _begin(self, about: dict[str, Any], *, blocked_seconds: float) -> None:
        def write() -> None:
            # A signal is for the thread that trains; one that came here would not wake it where it waits.
            signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
            try:
                payload = self._snapshot.on_host()
                _refuse_spoilt(payload, about["step"])
                self._keeper.save(payload, **about, lost_seconds=lost_seconds)
            except BaseException as error:
                work.error = error

        def lost_seconds() -> float:
            return blocked_seconds + (time.thread_time() if self._shares_cores else 0.0)

        # A daemon, since a disk that hangs must not keep the process from leaving.
        work = _Work(about["step"], threading.Thread(target=write, name=THREAD, daemon=True), time.monotonic())
        self._work = work
        work.thread.start()

    def _tell_if_slow(self, work: _Work) -> None:
        seconds = time.monotonic() - work.since
        if seconds < SLOW_SECONDS or work.is_told:
            return
        work.is_told = True
        self._job.warn(
            "checkpoint-slow",
            f"the checkpoint of step {work.step} has been being written for {duration(seconds)}, and no other is made "
            "meanwhile; look whether the disk hangs",
        )

    def _tell_if_spoilt(self, error: BaseException, step: int) -> None:
        if isinstance(error, NonFiniteError):
            self._job.event("non-finite", str(error), level="error", step=step)


def _refuse_spoilt(payload: dict[str, Any], step: int) -> None:
    """Raises NonFiniteError where a tensor holds NaN or infinity."""
    spoilt = first_spoilt(payload)
    if spoilt is not None:
        raise NonFiniteError(
            f"{spoilt} is not finite after step {step}, though its loss and gradient were; the last checkpoint stands; "
            "lower --learning-rate, then launch a new run"
        )
