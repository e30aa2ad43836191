"""When a checkpoint is written, which ones are kept, and what the store says about them."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from trainer import checkpoint
from trainer.checkpoint import Saved
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError, ConfigError, DataError
from trainer.paths import checkpoint_dir
from trainer.settings import fields_of
from trainer.store.runs import RunStore

COST_LIMIT = 0.01
"""Part of the time that checkpoints may take before the interval grows."""

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

    @property
    def due(self) -> bool:
        """Whether the interval since the last checkpoint is over, and that since a try that failed."""
        now = time.monotonic()
        return now - self._saved_at >= self._interval_seconds and now >= self._retry_at

    def put_off(self) -> None:
        """After a try that failed: let some time pass before the next one."""
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def is_better(self, knn_top1: float | None) -> bool:
        """Whether a kNN score beats that of every kept checkpoint, and saving now costs little enough."""
        if knn_top1 is None or self._cost_seconds > COST_LIMIT * (time.monotonic() - self._saved_at):
            return False
        kept = [row.knn_top1 for row in self._store.checkpoints(self._run_id) if row.knn_top1 is not None]
        return not kept or knn_top1 > max(kept)

    def save(
        self, payload: dict[str, Any], *, step: int, epoch: int, reason: str, knn_top1: float | None = None
    ) -> Saved:
        """Write, announce, then prune.

        Args:
            payload: what a resumed run needs.
            step: the last step that is in it.
            epoch: the epoch of that step.
            reason: interval, best, final, paused, stopped, interrupted or asked.
            knn_top1: the online kNN score of exactly these weights, if there is one.

        Raises:
            OSError: the disk refused; what was there before is untouched.
            StoreError: the file is there and will be found, but the store could not announce it.
        """
        self._saved_at = time.monotonic()
        run = self._store.run(self._run_id)
        manifest = {
            "run_id": self._run_id,
            "name": run.name,
            "preset": run.preset,
            "created_at": run.created_at,
            "step": step,
            "epoch": epoch,
            "reason": reason,
            "knn_top1": knn_top1,
            "config": self._config.to_json(),
        }
        saved = checkpoint.save(self._folder, payload, manifest)
        self._cost_seconds = saved.seconds
        self._announce(saved, reason, knn_top1)
        self._set_interval(saved.seconds)
        self._prune()
        return saved

    def _announce(self, saved: Saved, reason: str, knn_top1: float | None) -> None:
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
                "seconds": saved.seconds,
            }
        )

    def _set_interval(self, cost_seconds: float) -> None:
        """Keep checkpoints at 1 % of the time or less, and say where that makes them rarer than was asked for."""
        wanted = self._config.checkpoint_seconds
        if wanted == 0:  # every step, whatever it costs
            return
        self._interval_seconds = max(wanted, cost_seconds / COST_LIMIT)
        if self._interval_seconds > _WORTH_TELLING * self._told_seconds:
            self._told_seconds = self._interval_seconds
            words = f"one is written every {self._interval_seconds:.0f} s instead of every {wanted:.0f} s"
            self._store.event(
                self._run_id, "checkpoint-interval", f"a checkpoint takes {cost_seconds:.2g} s, so {words}"
            )

    def _prune(self) -> None:
        """Delete what need not be kept, once the newer one is safe: the row first, so that nothing is announced
        that is not there."""
        rows = self._store.checkpoints(self._run_id)
        for row in rows[self._config.keep_checkpoints :]:
            if row.step in self._kept_for_good(rows):
                continue
            self._store.forget_checkpoint(self._run_id, row.step)
            checkpoint.remove(self._folder, row.step)

    def _kept_for_good(self, rows: list[Any]) -> set[int]:
        """Steps of the best checkpoint and of those at the end of every so many epochs."""
        scored = [row for row in rows if row.knn_top1 is not None]
        best = {max(scored, key=lambda row: (row.knn_top1, row.step)).step} if scored else set()
        every = self._config.keep_every_epochs
        closed = {row.step for row in rows if every and row.reason == "milestone"}
        return best | closed

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
            return checkpoint.latest_valid(self._folder, self._fits, self._report, owner=owner)
        except (ValueError, FileNotFoundError) as error:
            self._refuse_another_runs(step)
            which = f"step {step}" if step else "the run"
            reason = "there is none" if isinstance(error, FileNotFoundError) else error
            raise CheckpointError(
                f"{self._folder}: no checkpoint of {which} can be used, {reason}; restore the folder from a copy, "
                "or launch a new run"
            ) from error

    def _refuse_another_runs(self, step: int) -> None:
        """Say by name which settings a checkpoint was made with that are not the run's.

        Raises:
            DataError: it was.
        """
        number = step or max(checkpoint.steps_on_disk(self._folder), default=0)
        stored = checkpoint.stored_config(self._folder, number)
        own = dataclasses.asdict(self._config)
        differing = [
            f"{field.name} {stored[field.name]} instead of {own[field.name]}"
            for field in fields_of(PretrainConfig)
            if field.setting.results and stored.get(field.name, own[field.name]) != own[field.name]
        ]
        if differing:
            raise DataError(
                f"{self._folder}: the checkpoint of step {number} was made with other settings than the run's "
                f"({', '.join(differing[:3])}); put the run's own checkpoints back"
            )

    def _fits(self, manifest: dict[str, Any]) -> bool:
        """Whether a checkpoint was made with settings of the same result; ones added since have their defaults."""
        try:
            return PretrainConfig.from_json(manifest["config"]).digest() == self._config.digest()
        except (ConfigError, KeyError, TypeError, ValueError):
            return False

    def _report(self, kind: str, message: str) -> None:
        self._store.event(self._run_id, kind, message, level="warning")
        if kind == "checkpoint-damaged":
            on_disk = set(checkpoint.steps_on_disk(self._folder))
            for row in self._store.checkpoints(self._run_id):
                if row.step not in on_disk:
                    self._store.forget_checkpoint(self._run_id, row.step)
