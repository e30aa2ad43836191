"""What every logger is to a mirror."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.mirror.mark import Mark, Reached
from trainer.mirror.points import Point

PROJECT = "simclr-tui"
"""Of the runs, where the logger's own environment variable names no other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a logger is told of a run beside its figures."""

    id: str
    name: str
    settings: dict[str, Any]
    """Without the folders of this machine."""
    tags: tuple[str, ...]
    note: str
    created_at: float
    """UTC seconds."""
    folder: Path
    """Of the run, for what a logger keeps on the disk; never sent."""
    runs: Path
    """The runs folder; never sent."""


class Sink(ABC):
    """Takes the points of one run, in the order in which the store has them.

    Every method may raise whatever the logger's package raises; a mirror says so once and begins anew with `open`.
    """

    where = ""
    """Where the run is, as a person would look for it; known once it is open."""

    @abstractmethod
    def open(self, about: About, mark: Mark) -> Reached:
        """Begin or go on with the run in the logger.

        Args:
            about: the run.
            mark: what the mirror before knew; `own` may be changed.

        Returns:
            How far the logger itself has the run, which is the truth where the mark says something else.
        """

    def has(self, _point: Point) -> bool:
        """Whether the logger has a point already. Asked only of points after what `open` has given, until the mirror
        is up to date for the first time: one that was killed may have handed on more than its mark says."""
        return False

    @abstractmethod
    def write(self, points: Sequence[Point]) -> None:
        """Take points of one table."""

    def flush(self) -> None:  # noqa: B027 - most have nothing to do
        """Let others see what was written."""

    def sync(self, _mark: Mark) -> None:  # noqa: B027
        """See that what was written outlives what the mark will say; `own` may be changed."""

    @abstractmethod
    def close(self, state: str) -> None:
        """End, with everything handed over.

        Args:
            state: of the run: finished, paused, … (`trainer.state.STATES`).
        """

    def abandon(self) -> None:  # noqa: B027
        """Let go of everything after an error; raises nothing."""
