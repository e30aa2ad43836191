"""Trainers that hang, dawdle or answer signals wrongly, each on purpose: what `control=` of a `Trainer` names."""

import os
import time
from collections.abc import Callable
from typing import Any

from torch import Tensor

HANG_AT = 5
"""Steps before the one that hangs, or that is slow."""

_KEEPERS: list[Any] = []


def _before_a_step(do: Callable[[], None]) -> None:
    """Do something in the middle of the training step after HANG_AT."""
    from trainer import stepper

    step = vars(stepper)["update"]

    def patched(state: Any, *arguments: Any, **options: Any) -> Tensor:
        if state.step == HANG_AT:
            do()
        metrics: Tensor = step(state, *arguments, **options)
        return metrics

    vars(stepper)["update"] = patched


def _hang_with_the_interpreter() -> None:
    """A call that never gives the interpreter's lock back, as a C extension or a driver may: a lock taken twice."""
    import ctypes

    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    for _ in range(2):
        libc.pthread_mutex_lock(mutex)


def _hang_in_a_transaction() -> None:
    """A hang inside of the store, with the lock of all writers held."""
    import gc

    from trainer.store.runs import RunStore

    for store in [one for one in gc.get_objects() if isinstance(one, RunStore)]:
        store.connection.execute("BEGIN IMMEDIATE")
        break
    time.sleep(3600)


def _hang_in_workers() -> None:
    """Every worker hangs in its third batch, which torch's own waiting never ends."""
    from torch.utils.data import get_worker_info

    from trainer.loader import _Batches

    load, asked = _Batches.__getitem__, [0]

    def stuck(self: Any, request: Any) -> Tensor:
        asked[0] += get_worker_info() is not None
        if asked[0] == 3:
            time.sleep(3600)
        return load(self, request)

    _Batches.__getitem__ = stuck  # type: ignore[method-assign]


def _save_in_the_handler() -> None:
    """The negative control: what Lightning's handler does. The weights may be in the middle of an update."""
    from trainer import stepper
    from trainer.signals import Signals

    training: list[Any] = []
    step = vars(stepper)["update"]

    def watched(state: Any, *arguments: Any, **options: Any) -> Tensor:
        training[:] = [state]
        metrics: Tensor = step(state, *arguments, **options)
        return metrics

    def save_and_leave(self: Signals, number: int, frame: Any) -> None:
        if training and _KEEPERS:
            state = training[0]
            _KEEPERS[0].save(state.payload(), step=state.step, epoch=1, reason="interrupted")
        os._exit(128 + number)

    vars(stepper)["update"] = watched
    _remember_keepers()
    Signals._end = save_and_leave  # type: ignore[assignment,method-assign]


def _exit_in_the_handler() -> None:
    """The negative control: a handler that leaves at once. What was trained since the last checkpoint is lost."""
    from trainer.signals import Signals

    def leave(self: Signals, number: int, frame: Any) -> None:
        os._exit(128 + number)

    Signals._end = leave  # type: ignore[assignment,method-assign]


def _lock_nothing() -> None:
    """The negative control: trainers that do not lock their run."""
    import fcntl

    fcntl.lockf = lambda *_: None


def _remember_keepers() -> None:
    from trainer.keeper import CheckpointKeeper

    newest = CheckpointKeeper.newest

    def remembered(self: CheckpointKeeper, **options: Any) -> Any:
        _KEEPERS[:] = [self]
        return newest(self, **options)

    CheckpointKeeper.newest = remembered  # type: ignore[method-assign]


CONTROLS: dict[str, Callable[[], None]] = {
    "hang": lambda: _before_a_step(lambda: time.sleep(3600)),
    "hang-interpreter": lambda: _before_a_step(_hang_with_the_interpreter),
    "hang-in-transaction": lambda: _before_a_step(_hang_in_a_transaction),
    "hang-workers": _hang_in_workers,
    "slow-step": lambda: _before_a_step(lambda: time.sleep(2.5)),
    "save-in-handler": _save_in_the_handler,
    "exit-in-handler": _exit_in_the_handler,
    "no-lock": _lock_nothing,
    "own-session": os.setsid,
}
