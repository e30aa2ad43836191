"""A stand-in for CUDA graphs on a CPU that holds what they hold: operations on addresses, and numbers as they were.

Every operation of the work, of its backward pass too, is written down with the tensors that it was given. A replay does
them again on the same memory. So a number that the host looked up is kept for good, a buffer that was replaced is read
where it was, and a value that the host asks for is refused: the mistakes that a CUDA graph would make.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trainer.capture import Work


class RecordedCapture:
    """A `trainer.capture.Capture` by recording."""

    replays = 0

    def warm_up(self, work: Work) -> None:
        """Do it some times."""
        for _ in range(2):
            work()

    def capture(self, work: Work) -> Work:
        """Write it down."""
        recording = _Recording()
        with recording:
            work()

        def replay() -> None:
            self.replays += 1
            recording.replay()

        return replay


class _Recording(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._calls: list[tuple[Callable[..., Any], Any, Any, list[Tensor | None]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        given = {_storage(value) for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)}
        fresh = [value if isinstance(value, Tensor) and _storage(value) not in given else None for value in _flat(made)]
        self._calls.append((func, args, kwargs, fresh))
        return made

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, kept in self._calls:
            for target, value in zip(kept, _flat(func(*args, **kwargs)), strict=True):
                if target is not None:
                    target.copy_(value)


def _storage(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)


def _flat(made: Any) -> list[Any]:
    return list(tree_leaves(made))
