"""When the steps of a run were taken, as nearly as the store knows it. Pure.

Steps carry no time of their own. Known are when the run began, when each epoch ended and how long it took, and how far
the run is; between two known moments the steps lie evenly.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

from trainer.store.records import Run


class Moments:
    """UTC seconds of steps, and the other way round; neither ever falls."""

    def __init__(self, run: Run, epochs: Iterable[Mapping[str, Any]], *, began_at: float | None = None) -> None:
        """Args: the run, the rows of its epochs in order, and when its trainer first began, if that is known."""
        self._steps: list[float] = []
        self._seconds: list[float] = []
        per_epoch = run.steps_per_epoch or 0
        rows = [row for row in epochs if row["at"] is not None and per_epoch]
        first = rows[0] if rows else None
        self._add((first["epoch"] - 1) * per_epoch if first else 0, began_at or run.created_at)
        for row in rows:
            if row.get("t_epoch"):
                self._add((row["epoch"] - 1) * per_epoch, row["at"] - row["t_epoch"])
            self._add(row["epoch"] * per_epoch, row["at"])
        self._add(run.step or 0, run.progress_at or run.lifecycle_at)

    def _add(self, step: float, seconds: float) -> None:
        if not self._steps or (step >= self._steps[-1] and seconds >= self._seconds[-1]):
            self._steps.append(step)
            self._seconds.append(seconds)

    def at(self, step: float) -> float:
        """UTC seconds at which a step had been taken; before the first known moment and after the last one, those."""
        return _between(self._steps, self._seconds, step, bisect_left(self._steps, step))

    def step_at(self, seconds: float) -> int:
        """The step that had been taken last at a moment."""
        return int(_between(self._seconds, self._steps, seconds, bisect_right(self._seconds, seconds)))


def _between(xs: list[float], ys: list[float], x: float, above: int) -> float:
    if above == 0 or above == len(xs):
        return ys[0 if above == 0 else -1]
    if xs[above] == x:
        return ys[above]
    left, right = xs[above - 1], xs[above]
    return ys[above - 1] + (x - left) / (right - left) * (ys[above] - ys[above - 1])
