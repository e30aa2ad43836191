"""Where a run's seconds go: trained in all, in this epoch, and in this epoch aside from training.

Time in which no trainer ran is left out, since each process counts its own and the sums travel in the checkpoint.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class RunClock:
    """Counts seconds from its making on, added to what earlier processes counted."""

    def __init__(self, *, trained: float = 0.0, epoch: float = 0.0, aside: float = 0.0) -> None:
        """Args: seconds trained before, and those of the epoch that goes on, in all and aside from training."""
        now = time.perf_counter()
        self._trained_from = now - trained
        self._epoch_from = now - epoch
        self._aside = aside

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
        return self.epoch_seconds - self._aside

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time an evaluation or a checkpoint, which is part of t_epoch and not of t_train."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._aside += time.perf_counter() - begun

    def next_epoch(self) -> None:
        """Begin to count an epoch anew."""
        self._epoch_from = time.perf_counter()
        self._aside = 0.0

    def to_state(self) -> dict[str, Any]:
        """What a checkpoint keeps; `RunClock(**state)` goes on from it."""
        return {"trained": self.trained_seconds, "epoch": self.epoch_seconds, "aside": self._aside}
