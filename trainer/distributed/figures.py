"""What each rank's device does and how long its steps take, brought to the first rank about once a second.

Figures travel through the key-value store by which the ranks have found each other (torch's TCPStore), by threads with
connections of their own: no step waits for them, and a rank that is dead only leaves its last ones behind.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from trainer.device import Machine
from trainer.energy_use import CPU
from trainer.gpu import Sampler
from trainer.group import Line
from trainer.pace import Passed

INTERVAL_SECONDS = 1.0
_STALE_SECONDS = 10.0
"""Figures that have not changed for so long are those of a rank that tells nothing any more."""


class _Thread:
    """Works once each interval until it is closed; where the store does not answer, nothing is told meanwhile."""

    def __init__(self, name: str, line: Line) -> None:
        self._line = line
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Any:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a store that does not answer is not waited for."""
        self._closing.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        store = None
        while not self._closing.wait(INTERVAL_SECONDS):
            try:
                store = store or self._line.aside("figures")
                self._work(store)
            except (RuntimeError, OSError):
                # A late answer would be taken for that of the next question: the next time has another connection.
                store = None

    def _work(self, store: Any) -> None:
        raise NotImplementedError


class Publisher(_Thread):
    """Tells the first rank what this one does. A context manager."""

    def __init__(self, line: Line, machine: Machine, sampler: Sampler) -> None:
        """Args: the line to the first rank, this rank's device, and what samples it."""
        super().__init__("figures", line)
        self._machine = machine
        self._sampler = sampler
        self._number = 0

    def _work(self, store: Any) -> None:
        self._number += 1
        row = of_device(self._machine, self._sampler.sample())
        told = {"number": self._number, "passed": self._line.pace.passed(), "row": row}
        store.set(str(self._line.ranks.rank), json.dumps(told))


class Collector(_Thread):
    """Keeps what the other ranks told last, in the first one. A context manager."""

    def __init__(self, line: Line, machine: Machine) -> None:
        """Args: the line to the others, and this rank's device."""
        super().__init__("figures of ranks", line)
        self._machine = machine
        self._told: dict[int, dict[str, Any]] = {}
        self._heard_at: dict[int, float] = {}
        self._before: dict[int, Passed] = {}

    def _work(self, store: Any) -> None:
        for rank in range(1, self._line.ranks.world):
            if not store.check([str(rank)]):  # asking for what is not there would wait
                continue
            told = json.loads(store.get(str(rank)))
            if told["number"] != self._told.get(rank, {}).get("number"):
                self._told[rank], self._heard_at[rank] = told, time.monotonic()

    def rows(self, sample: dict[str, Any]) -> list[dict[str, Any]]:
        """Rows of `rank_samples`, of each rank that is heard of; times are means since the last call.

        Args:
            sample: of this rank's own device.
        """
        rows = [self._row(0, self._line.pace.passed(), of_device(self._machine, sample))]
        now = time.monotonic()
        for rank, told in sorted(self._told.items()):
            if now - self._heard_at[rank] < _STALE_SECONDS:
                rows.append(self._row(rank, Passed(*told["passed"]), told["row"]))
        return rows

    def _row(self, rank: int, passed: Passed, row: dict[str, Any]) -> dict[str, Any]:
        before = self._before.get(rank, Passed(0, 0.0, 0.0))
        self._before[rank] = passed
        steps = passed.steps - before.steps
        times: dict[str, float | None] = {"t_step": None, "t_collective": None}
        if steps > 0:
            times["t_step"] = (passed.seconds - before.seconds) / steps
            if passed.collective_seconds > 0:  # where nothing times them, they are not known, and not 0
                times["t_collective"] = (passed.collective_seconds - before.collective_seconds) / steps
        return {"rank": rank} | row | times


@contextmanager
def rows_of_ranks(
    line: Line | None, machine: Machine
) -> Iterator[Callable[[dict[str, Any]], list[dict[str, Any]]] | None]:
    """What gives the rows of all ranks, in the first one; None where a process trains alone."""
    if line is None:
        yield None
        return
    with Collector(line, machine) as collector:
        yield collector.rows


def of_device(machine: Machine, sample: dict[str, Any]) -> dict[str, Any]:
    """The columns of `rank_samples` that say which device it is and what it does.

    The energy of the processors is left out: it is the machine's, and each rank on it would tell the same.
    """
    about = {"host": socket.gethostname(), "device": machine.name, "uuid": machine.uuid}
    return about | {name: value for name, value in sample.items() if name != CPU}
