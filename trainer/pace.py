"""How long the steps of this rank take, and how much of that passes in collectives. Needs no torch.

A collective (torch.distributed: all-reduce, all-gather) ends on all ranks at about the same time, so one that begins
early lasts long: what a rank spends there is waiting for the slowest one, and the exchange. A process is one rank, so
there is one pace.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Passed(NamedTuple):
    """Sums over the whole steps since the process began."""

    steps: int
    seconds: float
    """Of these steps, waiting for data included."""
    collective_seconds: float
    """In collectives of these steps, from the moment that this rank began each until it had the result."""


class Pace:
    """Adds up; any thread may."""

    def __init__(self) -> None:
        """Nothing has passed."""
        self._lock = threading.Lock()
        self._steps = 0
        self._seconds = 0.0
        self._collective = 0.0
        self._begun = [0.0, 0.0]
        """Waiting and collectives of the step that is not done, so that sums are those of whole steps."""

    def add_step(self, seconds: float) -> None:
        """A step was taken."""
        with self._lock:
            self._steps += 1
            self._seconds += seconds + self._begun[0]
            self._collective += self._begun[1]
            self._begun = [0.0, 0.0]

    def add_wait_for_data(self, seconds: float) -> None:
        """The step that is about to be taken had to wait for its images."""
        with self._lock:
            self._begun[0] += seconds

    def add_collective(self, seconds: float) -> None:
        """A collective of a step is done."""
        with self._lock:
            self._begun[1] += seconds

    @contextmanager
    def collective(self) -> Iterator[None]:
        """Time a collective that makes the host wait, as gloo's do on a CPU."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add_collective(time.perf_counter() - began)

    def passed(self) -> Passed:
        """The sums so far; what the step that is being taken has spent comes with its end."""
        with self._lock:
            return Passed(self._steps, self._seconds, self._collective)


PACE = Pace()
"""Of this process."""
