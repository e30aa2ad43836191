"""An epoch by its parts, in plain words and as one stacked bar. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from trainer.parts import EPOCH_PARTS, START, STEP_PARTS, UNEXPLAINED, WAIT
from trainer.store.records import AnatomyRow

MOST_UNEXPLAINED = 0.03
"""Share of an epoch above which what is unexplained is worth a warning."""

_SEEN = 0.005

_NAMES: Mapping[str, tuple[str, str, str]] = {
    "start": ("S", "start", "starting the epoch"),
    "wait": ("W", "waiting", "waiting for data"),
    "copy": ("C", "copy", "copy to the device"),
    "augmentation": ("A", "augmentation", "augmentation"),
    "forward": ("F", "forward", "forward pass"),
    "loss": ("L", "loss", "loss"),
    "backward": ("B", "backward", "backward pass"),
    "optimiser": ("O", "optimiser", "optimiser"),
    "logging": ("G", "logging", "logging"),
    "checkpoint": ("K", "checkpoints", "checkpoints"),
    "evaluation": ("E", "evaluation", "evaluation"),
    "unexplained": ("?", "unexplained", "unexplained"),
}
"""The letter that stands for a part in a bar, its name where there is little room, and its name."""


@dataclass(frozen=True, slots=True)
class PartShare:
    """One part of an epoch."""

    part: str
    seconds: float
    share: float
    """Of t_epoch, 0 to 1."""
    clock: str
    """Whose clock measured it: host or device."""
    is_sampled: bool
    """Whether it is known of some steps only."""
    steps: int
    """Steps in which it was measured."""

    @property
    def letter(self) -> str:
        """Stands for it in a bar, so that parts can be told apart without colour."""
        return _NAMES[self.part][0]

    @property
    def short(self) -> str:
        """Its name where there is little room."""
        return _NAMES[self.part][1]

    @property
    def name(self) -> str:
        """Its name."""
        return _NAMES[self.part][2]

    @property
    def ink(self) -> str:
        """The name of its colour: whether the device works, waits, or the host is at something else."""
        if self.part in STEP_PARTS:
            return f"work-{STEP_PARTS.index(self.part) % 2}"
        if self.part in (START, WAIT):
            return "wait"
        return "unexplained" if self.part == UNEXPLAINED else f"aside-{EPOCH_PARTS.index(self.part) % 2}"


@dataclass(frozen=True, slots=True)
class EpochAnatomy:
    """Where the seconds of an epoch went."""

    epoch: int
    t_epoch: float
    parts: tuple[PartShare, ...]
    """Every part, in the order of trainer.parts.EPOCH_PARTS."""

    @classmethod
    def of(cls, rows: Sequence[AnatomyRow]) -> tuple[Self, ...]:
        """The epochs that rows are of.

        Args:
            rows: of one run, epoch by epoch.
        """
        found = []
        for epoch, group in groupby((row for row in rows if row.part in _NAMES), key=lambda row: row.epoch):
            some = sorted(group, key=lambda row: EPOCH_PARTS.index(row.part))
            total = math.fsum(row.seconds for row in some)
            if total > 0:
                parts = [
                    PartShare(row.part, row.seconds, row.seconds / total, row.clock, bool(row.is_sampled), row.steps)
                    for row in some
                ]
                found.append(cls(epoch, total, tuple(parts)))
        return tuple(found)

    @property
    def is_sampled(self) -> bool:
        """Whether the parts of its steps are known of some steps only."""
        return any(part.is_sampled for part in self.parts)

    @property
    def steps(self) -> int:
        """Steps of the epoch."""
        return max(part.steps for part in self.parts)

    @property
    def unexplained(self) -> float:
        """The share that no part accounts for, 0 to 1."""
        return next((part.share for part in self.parts if part.part == UNEXPLAINED), 0.0)

    def cells(self, width: int) -> list[tuple[PartShare, int]]:
        """How many cells of a bar each part takes, those that take none left out; together they take the width."""
        positive = [part for part in self.parts if part.share > 0]
        whole = sum(part.share for part in positive)
        exact = [width * part.share / whole for part in positive]
        counts = [int(cells) for cells in exact]
        by_rest = sorted(range(len(exact)), key=lambda number: counts[number] - exact[number])
        for number in by_rest[: width - sum(counts)]:
            counts[number] += 1
        return [(part, count) for part, count in zip(positive, counts, strict=True) if count]

    def bar(self, width: int, *, named: bool = True) -> list[tuple[str, str]]:
        """One line of that width: pieces of text with their inks, each part made of its letter.

        Args:
            width: in cells.
            named: write the name and the share into the parts that have room for them.
        """
        pieces = []
        for part, count in self.cells(width):
            label = f" {part.short} {100 * part.share:.0f} % "
            text = part.letter * count
            if named and count >= len(label) + 2:
                text = f"{part.letter}{label}".ljust(count, part.letter)
            pieces.append((text, part.ink))
        return pieces

    def legend(self, width: int) -> list[str]:
        """The parts that can be seen in a bar with their letters and shares, the largest first, in lines."""
        lines = [""]
        for part in sorted(self.parts, key=lambda part: -part.share):
            if part.share < _SEEN:
                break
            more = f"{part.letter} {part.short} {100 * part.share:.0f} %"
            longer = f"{lines[-1]} · {more}" if lines[-1] else more
            if len(longer) > width and lines[-1]:
                lines.append(more)
            else:
                lines[-1] = longer
        return [line[:width] for line in lines]

    def title(self) -> str:
        """Which epoch, and whether its parts are those of some steps."""
        return f"epoch {self.epoch}{', sampled' if self.is_sampled else ''}"
