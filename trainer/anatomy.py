"""Where the seconds of an epoch went: steps of the device and spans of the host, laid on one line and summed by part.

A step is a piece of the device's time and wins over whatever the host did meanwhile: a host that waits for data while
the device still computes costs nothing. So a host span counts where the device was between two steps, and nothing is
counted twice. Only `unexplained` is a difference. docs/anatomy.md has the definitions.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from trainer.parts import (
    AUGMENTATION,
    CHECKPOINT,
    EPOCH_PARTS,
    EVALUATION,
    FORWARD,
    HOST_AUGMENTATION,
    STEP_PARTS,
    UNEXPLAINED,
)

HOST_PARTS = (*(part for part in EPOCH_PARTS if part not in (*STEP_PARTS, UNEXPLAINED)), HOST_AUGMENTATION)
_ASIDE = frozenset({CHECKPOINT, EVALUATION})

PartSeconds = Iterable[tuple[str, float]]
"""Parts of a step with their seconds."""


@dataclass(slots=True)
class EpochSums:
    """Seconds of the epoch that goes on, by part, as far as they are known."""

    host: dict[str, float] = field(default_factory=lambda: dict.fromkeys(HOST_PARTS, 0.0))
    """In which the device took no step."""
    dissected: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STEP_PARTS, 0.0))
    """Parts of the steps that were measured part by part."""
    steps: int = 0
    step_seconds: float = 0.0
    """All steps from their beginning to their end on the device."""
    dissected_steps: int = 0
    dissected_seconds: float = 0.0
    """The steps that were measured part by part, from beginning to end."""
    idle_seconds: float = 0.0
    """Between the end of a step and the beginning of the next one, without evaluation and checkpoints."""

    shares: dict[str, float] = field(default_factory=dict, compare=False)
    """What the parts took of a step in the latest epoch that had a step measured part by part."""

    def clear(self) -> None:
        """Begin an epoch."""
        empty = EpochSums(shares=self._step_shares())
        for name in self.__slots__:
            setattr(self, name, getattr(empty, name))

    def _step_shares(self) -> dict[str, float]:
        if not self.dissected_seconds:
            return self.shares
        return {part: seconds / self.dissected_seconds for part, seconds in self.dissected.items()}

    def rows(self, t_epoch: float) -> list[dict[str, Any]]:
        """The epoch as rows of `anatomy`, without run and epoch; their seconds sum up to t_epoch.

        Where only some steps were measured part by part, their shares stand for those of all steps. An epoch too short
        for one of them takes the shares of the epoch before.

        Args:
            t_epoch: seconds of the whole epoch.
        """
        is_sampled = self.dissected_steps < self.steps
        seconds = self.host | self.dissected
        if is_sampled:
            shares = self._step_shares()
            seconds |= {part: self.step_seconds * shares.get(part, 0.0) for part in STEP_PARTS}
        by_host = seconds.pop(HOST_AUGMENTATION)
        seconds[AUGMENTATION] += by_host
        of_device = set(STEP_PARTS) - ({AUGMENTATION} if by_host else set())
        seconds[UNEXPLAINED] = t_epoch - math.fsum(seconds.values())
        return [
            {
                "part": part,
                "seconds": seconds[part],
                "clock": "device" if part in of_device else "host",
                "is_sampled": int(is_sampled and part in of_device),
                "steps": self.dissected_steps if part in of_device else self.steps,
            }
            for part in EPOCH_PARTS
        ]

    def to_state(self) -> dict[str, float]:
        """What a checkpoint keeps: numbers by name."""
        known = self._step_shares()
        shares = {_SHARE.format(part): known.get(part, 0.0) for part in STEP_PARTS}
        return self.host | self.dissected | {name: getattr(self, name) for name in _COUNTED} | shares

    @classmethod
    def from_state(cls, state: Mapping[str, float]) -> Self:
        """What a checkpoint kept; an older one kept nothing."""
        sums = cls(
            host={part: float(state.get(part, 0.0)) for part in HOST_PARTS},
            dissected={part: float(state.get(part, 0.0)) for part in STEP_PARTS},
            shares={part: float(state.get(_SHARE.format(part), 0.0)) for part in STEP_PARTS},
        )
        for name in _COUNTED:
            setattr(sums, name, type(getattr(sums, name))(state.get(name, 0)))
        return sums


_SHARE = "share of {}"
_COUNTED = ("steps", "step_seconds", "dissected_steps", "dissected_seconds", "idle_seconds")


class Timeline:
    """Folds steps and spans into sums in the order of time, and keeps nothing that is folded.

    Spans are told as they end, and do not overlap each other; steps are told when the device has done them.
    """

    def __init__(self, sums: EpochSums) -> None:
        """Args: what is added to."""
        self._sums = sums
        self._spans: deque[tuple[float, float, str]] = deque()
        self._folded_to = -math.inf
        self._step_ended: float | None = None
        self._aside = 0.0
        """Seconds of evaluation and checkpoints since the last step."""

    def add_span(self, part: str, begin: float, end: float) -> None:
        """Tell what the host did, in seconds of the line."""
        if end > begin:
            self._spans.append((begin, end, part))

    def add_step(self, begin: float, end: float, parts: PartSeconds) -> None:
        """Tell a step of the device.

        Args:
            begin: in seconds of the line. Every span that began before must have been told.
            end: the same.
            parts: seconds of its parts. A step in a CUDA graph has none but what happens outside of the graph, and
                counts as measured in parts only if its forward pass was.
        """
        sums = self._sums
        begin = max(begin, self._folded_to)
        end = max(end, begin)
        self.fold_to(begin)
        if self._step_ended is not None:
            sums.idle_seconds += max(0.0, begin - self._step_ended - self._aside)
        sums.steps += 1
        sums.step_seconds += end - begin
        known = list(parts)
        if any(part == FORWARD for part, _ in known):
            sums.dissected_steps += 1
            sums.dissected_seconds += end - begin
            for part, seconds in known:
                sums.dissected[part] += seconds
        while self._spans and self._spans[0][1] <= end:
            self._spans.popleft()
        self._folded_to = self._step_ended = end
        self._aside = 0.0

    def fold_to(self, until: float) -> None:
        """Count the spans up to a time before which no further step begins."""
        while self._spans and self._spans[0][0] < until:
            begin, end, part = self._spans.popleft()
            seconds = min(end, until) - max(begin, self._folded_to)
            if seconds > 0:
                self._sums.host[part] += seconds
                self._aside += seconds if part in _ASIDE else 0.0
            if end > until:
                self._spans.appendleft((until, end, part))
                break
        self._folded_to = max(self._folded_to, until)

    def next_epoch(self) -> None:
        """What comes now belongs to another epoch; the time up to its first step is not between steps."""
        self._step_ended = None
        self._aside = 0.0
