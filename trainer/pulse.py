"""The pulse of a trainer: one page of memory that says what it is at and whether it gets on.

A beat is one store into memory, so that it can be made at every step, and it can be read from another process while
the trainer's interpreter is stuck or its disk is full (memfd_create(2), mmap(2)). Nothing in it is kept.
"""

import mmap
import os
from typing import NamedTuple, Self

PHASES = ("starting", "loading", "starting workers", "training", "evaluating", "saving", "waiting")
"""What a trainer may be at (`runs.phase`): from importing torch to waiting for space on the disk."""

_BEATS, _PHASE, _STEP, _STEP_MICROSECONDS = range(4)
"""Places in the page, 8 bytes each: written and read whole, so no lock is needed."""


class Vital(NamedTuple):
    """What the page says."""

    beats: int
    """Grows with every sign of progress."""
    phase: str
    """One of PHASES."""
    step: int
    """Steps taken in all."""
    step_seconds: float
    """Median wall seconds of the latest steps, 0 where it is not known yet."""


class Pulse:
    """The page, written by the trainer's main thread and read by anybody who has it."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Args: a descriptor of the memory; without one it is private to this process and its threads."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(-1 if descriptor is None else descriptor, mmap.PAGESIZE)
        self._words = memoryview(self._memory).cast("q")

    @classmethod
    def shared(cls) -> Self:
        """A page that another process can be given by its descriptor, which is not inherited by itself."""
        descriptor = os.memfd_create("simclr-pulse", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    def beat(self, step: int | None = None) -> None:
        """Note that the trainer gets on, and the steps that it has taken where that is known."""
        self._words[_BEATS] += 1
        if step is not None:
            self._words[_STEP] = step

    def enter(self, phase: str) -> None:
        """Say what the trainer is at from now on, one of PHASES; that is progress as well."""
        self._words[_PHASE] = PHASES.index(phase)
        self._words[_BEATS] += 1

    def pace(self, step_seconds: float) -> None:
        """Say how long a step takes (median, seconds), by which is judged what takes too long."""
        self._words[_STEP_MICROSECONDS] = round(1e6 * step_seconds)

    def read(self) -> Vital:
        """What it says now."""
        words = self._words
        return Vital(words[_BEATS], PHASES[words[_PHASE]], words[_STEP], words[_STEP_MICROSECONDS] / 1e6)

    def close(self) -> None:
        """Give the memory back."""
        self._words.release()
        self._memory.close()
        if self.descriptor is not None:
            os.close(self.descriptor)
