"""When a checkpoint is written, which ones are kept, and what the store says about them.

A checkpoint is announced once it was read back from the disk, and none is deleted for one that was not.
"""

import contextlib
import dataclasses
import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Saved
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError, ConfigError, DataError, StoreError
from trainer.paths import checkpoint_dir
from trainer.report import duration
from trainer.retention import Retention, reads_back, surplus
from trainer.room import Room
from trainer.serialised import FOLDER
from trainer.settings import fields_of
from trainer.store.records import Checkpoint
from trainer.store.runs import RunStore
from trainer.summary import manifest_summary

COST_LIMIT = 0.01
"""Part of the time that training may lose by checkpoints before the interval grows."""

RETRY_SECONDS = 20.0
"""Seconds from a checkpoint that could not be written to the next try."""

_WORTH_TELLING = 1.5
"""How many times longer than it was said to be the interval must get to be said again."""


class CheckpointKeeper:
    """Writes, announces, prunes and finds the checkpoints of one run."""

    def __init__(self, store: RunStore, runs: Path, run_id: str, config: PretrainConfig) -> None:
        """Args: the store and runs folder, the run and its settings."""
        self._store = store
        self._runs = runs
        self._run_id = run_id
        self._config = config
        self._folder = checkpoint_dir(runs, run_id)
        self._interval_seconds = config.checkpoint_seconds
        self._told_seconds = config.checkpoint_seconds
        self._saved_at = time.monotonic()
        self._retry_at = 0.0
        self._cost_seconds = 0.0
        self._writing_seconds = 0.0
        self._failing_since: float | None = None
        self._failure_is_told = False
        self._room = Room(self._folder, self._warn)

    @property
    def due(self) -> bool:
        """Whether the interval since the last checkpoint is over, and that since a try that failed."""
        now = time.monotonic()
        return now - self._saved_at >= self._interval_seconds and now >= self._retry_at

    def failed(self, step: int, error: Exception) -> str:
        """After a try that failed: let some time pass before the next one, and say so, as a sentence.

        The store has it as one event for all tries until one succeeds, at the first of them that it can be written.
        """
        now = time.monotonic()
        self._retry_at = now + RETRY_SECONDS
        self._failing_since = self._failing_since or now
        message = f"checkpoint of step {step} not written ({error}); training goes on, free some space"
        if not self._failure_is_told:
            with contextlib.suppress(StoreError):
                self._store.event(self._run_id, "checkpoint-failed", message, level="error", step=step)
                self._failure_is_told = True
        return message

    def require_room(self, checkpoint_bytes: int) -> None:
        """Refuse to begin where the disk has too little room for checkpoints.

        Args:
            checkpoint_bytes: what one is thought to take, where none lies on the disk yet.

        Raises:
            TrainerError: it has.
        """
        rows = self._store.checkpoints(self._run_id)
        self._room.require(rows[0].bytes if rows else checkpoint_bytes)

    def is_better(self, knn_top1: float | None) -> bool:
        """Whether a kNN score beats that of every kept checkpoint, and the last one is long enough ago.

        Early in a run each epoch beats the one before; the disk is to be at work for 1 % of the time, not all of it.
        """
        if knn_top1 is None or self._writing_seconds > COST_LIMIT * (time.monotonic() - self._saved_at):
            return False
        rows = [row for row in self._store.checkpoints(self._run_id) if row.verified_at is not None]
        kept = [row.knn_top1 for row in rows if row.knn_top1 is not None]
        return not kept or knn_top1 > max(kept)

    @property
    def is_for_every_step(self) -> bool:
        """Whether a checkpoint is wanted after each step, whatever it costs."""
        return self._config.checkpoint_seconds == 0

    def save(
        self,
        payload: dict[str, Any],
        *,
        step: int,
        epoch: int,
        reason: str,
        knn_top1: float | None = None,
        lost_seconds: Callable[[], float] | None = None,
    ) -> Saved:
        """Write, read back, announce, then prune.

        Args:
            payload: what a resumed run needs.
            step: the last step that is in it.
            epoch: the epoch of that step.
            reason: interval, best, final, paused, stopped, interrupted or asked.
            knn_top1: the online kNN score of exactly these weights, if there is one.
            lost_seconds: what training has lost by this checkpoint so far, where it goes on meanwhile. Without it
                training waits, and all of the time is lost.

        Raises:
            OSError: the disk refused, or did not keep what it was given; what was there before is untouched.
            StoreError: the file is there and will be found, but the store could not announce it.
        """
        self._saved_at = started = time.monotonic()
        manifest = self._manifest() | {"step": step, "epoch": epoch, "reason": reason, "knn_top1": knn_top1}
        saved = checkpoint.save(self._folder, payload, manifest)
        if not reads_back(saved.path, saved.bytes, saved.sha256):
            checkpoint.set_aside(self._folder, step)
            raise OSError(errno.EIO, "what was read back is not what was written", str(saved.path))
        self._writing_seconds = seconds = time.monotonic() - started
        self._cost_seconds = seconds if lost_seconds is None else lost_seconds()
        self._announce(saved, reason, knn_top1, seconds)
        self._set_interval(self._cost_seconds, 0.0 if lost_seconds is None else seconds)
        self._prune()
        self._tell_recovery(step)
        self._room.look(saved.bytes)
        return saved

    def _manifest(self) -> dict[str, Any]:
        """What the manifests of all checkpoints of the run have."""
        run = self._store.run(self._run_id)
        manifest = {
            "run_id": self._run_id,
            "name": run.name,
            "preset": run.preset,
            "created_at": run.created_at,
            "config": self._config.to_json(),
            "summary": manifest_summary(run),
        }
        if run.parent_run_id:
            manifest |= {"parent_run_id": run.parent_run_id, "parent_step": run.parent_step}
        return manifest

    def _tell_recovery(self, step: int) -> None:
        """After tries that failed: say that checkpoints can be written again."""
        if self._failing_since is None:
            return
        if self._failure_is_told:
            message = f"checkpoints can be written again, after {duration(time.monotonic() - self._failing_since)}"
            self._store.event(self._run_id, "checkpoint-recovered", message, step=step)
        self._failing_since, self._failure_is_told = None, False

    def _warn(self, kind: str, message: str) -> None:
        with contextlib.suppress(StoreError):  # the disk may be too full to say that it is
            self._store.event(self._run_id, kind, message, level="warning")

    def _announce(self, saved: Saved, reason: str, knn_top1: float | None, seconds: float) -> None:
        self._store.put_checkpoint(
            {
                "run_id": self._run_id,
                "step": saved.step,
                "epoch": saved.epoch,
                "path": str(saved.path.relative_to(self._runs)),
                "bytes": saved.bytes,
                "sha256": saved.sha256,
                "reason": reason,
                "knn_top1": knn_top1,
                "seconds": seconds,
                "verified_at": time.time(),
            }
        )

    def _set_interval(self, cost_seconds: float, writing_seconds: float = 0.0) -> None:
        """Let training lose 1 % of the time or less, and say where that makes checkpoints rarer than was asked for.

        Args:
            cost_seconds: what training lost by one.
            writing_seconds: what writing one took while training went on. No other can be begun meanwhile, and a kill
                loses what was trained meanwhile as well, so the next one is begun so much earlier.
        """
        if self.is_for_every_step:
            return
        wanted, allowed = self._config.checkpoint_seconds, cost_seconds / COST_LIMIT
        self._interval_seconds = max(wanted - writing_seconds, allowed, writing_seconds)
        if self._interval_seconds > _WORTH_TELLING * self._told_seconds:
            self._told_seconds = self._interval_seconds
            words = f"one is written every {self._interval_seconds:.0f} s instead of every {wanted:.0f} s"
            why = f"costs training {cost_seconds:.2g}" if allowed >= writing_seconds else f"takes {writing_seconds:.2g}"
            self._store.event(self._run_id, "checkpoint-interval", f"a checkpoint {why} s, so {words}")

    def _prune(self) -> None:
        """Delete what need not be kept, now that the newer one is safe."""
        rows = self._store.checkpoints(self._run_id)
        if len(rows) <= self._config.keep_checkpoints:
            return
        retention = Retention(
            newest=self._config.keep_checkpoints,
            milestones=self._config.keep_every_epochs > 0,
            pinned=self._store.pinned_checkpoints(self._run_id),
        )
        for step in surplus(self._verified(rows), retention):
            self.drop(step)

    def _verified(self, rows: list[Checkpoint]) -> list[Checkpoint]:
        """Those that have verified, now or before; the others are set aside and taken back."""
        good = []
        for row in rows:
            if row.verified_at is None:
                if not reads_back(self._runs / row.path, row.bytes, row.sha256):
                    checkpoint.set_aside(self._folder, row.step)
                    self._report("checkpoint-damaged", f"checkpoint of step {row.step} set aside: it does not verify")
                    continue
                row = dataclasses.replace(row, verified_at=time.time())
                self._store.set_verified(self._run_id, row.step, row.verified_at)
            good.append(row)
        return good

    def drop(self, step: int) -> None:
        """Delete a checkpoint: the row first, so that nothing is announced that is not there."""
        self._store.forget_checkpoint(self._run_id, step)
        checkpoint.remove(self._folder, step)

    def is_milestone(self, epoch: int) -> bool:
        """Whether the checkpoint at the end of this epoch is one that is kept for good."""
        every = self._config.keep_every_epochs
        return bool(every) and epoch % every == 0

    def newest(self, *, step: int = 0, owner: bool = False) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Payload and manifest of the newest checkpoint that verifies, or of one step; None where none was announced.

        Args:
            step: 0 takes the newest one.
            owner: True for the run's own trainer, which sets damaged ones aside and tidies up.

        Raises:
            CheckpointError: there are checkpoints and none can be used, or that of the step can't.
            DataError: they are of another run's architecture, image size or other settings.
        """
        if owner and self._folder.is_dir():
            checkpoint.tidy(self._folder)
        try:
            if step:
                return checkpoint.load(self._folder, step, self._fits)
            found = checkpoint.latest_valid(self._folder, self._fits, self._report, owner=owner)
        except (ValueError, FileNotFoundError) as error:
            self._refuse_another_runs(step)
            which = f"step {step}" if step else "the run"
            reason = "there is none" if isinstance(error, FileNotFoundError) else error
            raise CheckpointError(
                f"{self._folder}: no checkpoint of {which} can be used, {reason}; restore the folder from a copy, "
                "or launch a new run"
            ) from error
        if owner:
            self._announce_strays()
        return found

    def _announce_strays(self) -> None:
        """Announce what verifies and has no row: its trainer was killed between the file and the row, when it was
        written or when it was about to be deleted. Retention would never see it otherwise."""
        known = {row.step for row in self._store.checkpoints(self._run_id)}
        for step in checkpoint.steps_on_disk(self._folder):
            if step in known:
                continue
            # A full disk leaves it to the next trainer; one that does not verify stays as it is.
            with contextlib.suppress(StoreError, ValueError, FileNotFoundError):
                _, manifest = checkpoint.load(self._folder, step, self._fits)
                row = {name: manifest.get(name) for name in ("step", "epoch", "bytes", "sha256", "reason", "knn_top1")}
                path = str((self._folder / manifest["file"]).relative_to(self._runs))
                self._store.put_checkpoint(row | {"run_id": self._run_id, "path": path, "verified_at": time.time()})

    def _refuse_another_runs(self, step: int) -> None:
        """Say by name which settings a checkpoint was made with that are not the run's.

        Raises:
            DataError: it was.
        """
        number = step or max(checkpoint.steps_on_disk(self._folder), default=0)
        stored = checkpoint.stored_config(self._folder, number)
        own = dataclasses.asdict(self._config)
        moved = all(str(values.get("dataset")).startswith(FOLDER) for values in (stored, own))
        differing = [
            f"{field.name} {stored[field.name]} instead of {own[field.name]}"
            for field in fields_of(PretrainConfig)
            if field.setting.results
            and stored.get(field.name, own[field.name]) != own[field.name]
            and not (field.name == "dataset" and moved)
        ]
        if differing:
            raise DataError(
                f"{self._folder}: the checkpoint of step {number} was made with other settings than the run's "
                f"({', '.join(differing[:3])}); put the run's own checkpoints or settings back"
            )

    def _fits(self, manifest: dict[str, Any]) -> bool:
        """Whether a checkpoint was made with settings of the same result; ones added since have their defaults.

        `was` has those from before a change that was accepted: a crash may have come between it and the store's row.
        """
        try:
            texts = [manifest["config"], *manifest.get("was", [])]
            return any(PretrainConfig.from_json(text).digest() == self._config.digest() for text in texts)
        except (ConfigError, AttributeError, KeyError, TypeError, ValueError):
            return False

    def _report(self, kind: str, message: str) -> None:
        self._store.event(self._run_id, kind, message, level="warning")
        if kind == "checkpoint-damaged":
            on_disk = set(checkpoint.steps_on_disk(self._folder))
            for row in self._store.checkpoints(self._run_id):
                if row.step not in on_disk:
                    self._store.forget_checkpoint(self._run_id, row.step)
