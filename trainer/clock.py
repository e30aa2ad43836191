"""Where a run's seconds go: trained in all, in this epoch, aside from training, and by the parts of the epoch.

Time in which no trainer ran is left out, since each process counts its own and the sums travel in the checkpoint.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trainer.anatomy import EpochSums


@dataclass(frozen=True, slots=True)
class EpochTimes:
    """Seconds of an epoch that has ended."""

    t_epoch: float
    t_train: float
    """t_epoch without evaluation and checkpoints."""
    t_idle: float
    """In which the device waited between two steps."""
    parts: list[dict[str, Any]]
    """Rows of `anatomy`."""


class RunClock:
    """Counts seconds from its making on, added to what earlier processes counted."""

    def __init__(
        self,
        *,
        trained: float = 0.0,
        epoch: float = 0.0,
        aside: float = 0.0,
        parts: Mapping[str, float] | None = None,
    ) -> None:
        """Args: seconds trained before, and those of the epoch that goes on, in all, aside from training, and by part
        (None in what versions without parts have stored)."""
        now = time.perf_counter()
        self._trained_from = now - trained
        self._epoch_before = epoch
        self._epoch_from = now - epoch
        self._aside = aside
        self._aside_from: float | None = None
        self.parts = EpochSums.from_state(parts or {})
        """Sums of the epoch that goes on; a trainer.epoch_timer.EpochTimer adds to them."""

    @property
    def trained_seconds(self) -> float:
        """Seconds in which a trainer of this run was at work."""
        return time.perf_counter() - self._trained_from

    @property
    def epoch_seconds(self) -> float:
        """t_epoch so far."""
        return time.perf_counter() - self._epoch_from

    @property
    def train_seconds(self) -> float:
        """t_train so far: the epoch without evaluation and checkpoints."""
        return self.epoch_seconds - self._aside_seconds

    @property
    def _aside_seconds(self) -> float:
        """Seconds aside, those of what is going on as well."""
        return self._aside + (0.0 if self._aside_from is None else time.perf_counter() - self._aside_from)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time an evaluation or a checkpoint, which is part of t_epoch and not of t_train."""
        self._aside_from = time.perf_counter()
        try:
            yield
        finally:
            self._aside, self._aside_from = self._aside_seconds, None

    def go_on(self, at: float) -> None:
        """Let the epoch go on from now: what was built since the clock was made is no part of it.

        Args:
            at: what `time.perf_counter` says.
        """
        self._epoch_from = at - self._epoch_before

    def next_epoch(self, at: float | None = None) -> EpochTimes:
        """End the epoch and begin to count the next one at the same moment, so that no second is lost between them.

        Args:
            at: the moment, as `time.perf_counter` has it; now where it is not given.
        """
        now = time.perf_counter() if at is None else at
        t_epoch = now - self._epoch_from
        times = EpochTimes(t_epoch, t_epoch - self._aside, self.parts.idle_seconds, self.parts.rows(t_epoch))
        self._epoch_from, self._epoch_before, self._aside = now, 0.0, 0.0
        self.parts.clear()
        return times

    def to_state(self) -> dict[str, Any]:
        """What a checkpoint keeps; `RunClock(**state)` goes on from it."""
        return {
            "trained": self.trained_seconds,
            "epoch": self.epoch_seconds,
            "aside": self._aside_seconds,
            "parts": self.parts.to_state(),
        }
