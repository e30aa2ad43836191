"""Trainers whose loader workers die or hang at a chosen batch, for `Trainer(control=…)`."""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.data import get_worker_info


def _at_request(number: int, do: Callable[[], None], *, again: bool = False) -> None:
    """Do something in the worker that is asked for the n-th batch of the run, before it answers.

    Counted over all workers, and over those that replace them; with `again` at every batch from there on.
    """
    from trainer.loader import _Batches

    load, asked = _Batches.__getitem__, multiprocessing.get_context("fork").Value("i", 0)

    def watched(self: Any, request: Any) -> Tensor:
        if get_worker_info() is None:  # what the trainer loads itself, for its scores
            return load(self, request)
        with asked.get_lock():
            asked.value += 1
            mine = asked.value
        if mine == number or (again and mine > number):
            do()
        return load(self, request)

    _Batches.__getitem__ = watched  # type: ignore[method-assign]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang_once() -> None:
    """A worker that hangs for good, where hanging is found after a second and not after two minutes."""
    from trainer import workers

    workers._WORKER_TIMEOUT_SECONDS = 1.0
    _at_request(9, partial(time.sleep, 3600))


def _skip_after_a_loss() -> None:
    """The negative control: after a worker was lost, the loader goes on with the next batch."""
    from trainer.workers import WorkerPool

    begin, end = WorkerPool._begin, WorkerPool._end
    lost: list[int] = []

    def begin_at_the_next(self: Any, requests: Sequence[Any]) -> Any:
        return begin(self, [*requests[1:], requests[-1]] if lost and len(requests) > 1 else requests)

    def remember(self: Any, iterator: Any) -> None:
        lost.append(1)
        end(self, iterator)

    WorkerPool._begin, WorkerPool._end = begin_at_the_next, remember  # type: ignore[method-assign]
    _at_request(9, _die)


ROOM_BYTES = 512 * 2**20


def _give_little_memory() -> None:
    """From the first step on the process may take no more than `ROOM_BYTES` beside what it has."""
    from trainer import memory, pretrain

    def attempt_in_little(work: Callable[[], None], machine: Any) -> Any:
        room = memory.process_bytes()["VmSize"] + ROOM_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
        return memory.attempt(work, machine)

    vars(pretrain)["attempt"] = attempt_in_little


CONTROLS: dict[str, Callable[[], None]] = {
    **{f"worker-dies-{number}": partial(_at_request, number, _die) for number in range(1, 25)},
    "workers-die": partial(_at_request, 5, _die, again=True),
    "worker-hangs": _hang_once,
    "batch-skipped": _skip_after_a_loss,
    "little-memory": _give_little_memory,
}
