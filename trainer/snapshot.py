"""A copy of everything that a checkpoint holds, made between two steps: training goes on while it is written.

The copy stays where the tensors are, which on CUDA takes a few kernels and no waiting; from there it goes to pinned
host memory on a stream of its own. The memory is kept for the next copy, since pages that are asked for anew cost more
than the copying. It takes as much as the weights and the optimiser's state once more, on CUDA also on the host.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainer.guard import copy_together

_Path = tuple[Any, ...]
_Place = Callable[[_Path, Tensor], Tensor]


class Snapshot:
    """Memory for the copy of one payload. `take` is for the thread that trains, `on_host` for the one that writes."""

    def __init__(self) -> None:
        """Nothing is held before the first copy."""
        self._near: dict[_Path, Tensor] = {}
        self._pinned: dict[_Path, Tensor] = {}
        self._payload: dict[str, Any] = {}
        self._is_copied: torch.cuda.Event | None = None

    @torch.no_grad()
    def take(self, payload: dict[str, Any]) -> None:
        """Copy every tensor of a payload, and the containers around them.

        Args:
            payload: tensors, numbers, strings and containers of them. What changes later changes nothing here.
        """
        sources: list[Tensor] = []
        targets: list[Tensor] = []

        def place(path: _Path, value: Tensor) -> Tensor:
            target = _fitting(self._near, path, value)
            sources.append(value.detach())
            targets.append(target)
            return target

        self._payload = _mapped(payload, place, ())
        copy_together(targets, sources)
        if any(target.is_cuda for target in targets):
            self._is_copied = torch.cuda.Event()
            self._is_copied.record()

    @torch.no_grad()
    def on_host(self) -> dict[str, Any]:
        """The payload as it was when it was taken, its tensors on the CPU. Waits for the device where they are on one.

        Good until the next `take`.
        """
        if self._is_copied is None:
            return self._payload
        stream = torch.cuda.Stream(next(target.device for target in self._near.values() if target.is_cuda))
        with torch.cuda.stream(stream):
            stream.wait_event(self._is_copied)
            payload: dict[str, Any] = _mapped(self._payload, self._to_host, ())
        stream.synchronize()
        return payload

    def _to_host(self, path: _Path, value: Tensor) -> Tensor:
        if not value.is_cuda:
            return value
        pinned = self._pinned.get(path)
        if pinned is None or (pinned.shape, pinned.dtype) != (value.shape, value.dtype):
            pinned = self._pinned[path] = _host_memory(value)
        return pinned.copy_(value, non_blocking=True)


def _host_memory(value: Tensor) -> Tensor:
    """For a copy of a tensor: page-locked, so that it is quick, or plain where the machine locks no more pages."""
    try:
        return torch.empty_like(value, device="cpu", pin_memory=True)
    except RuntimeError:
        return torch.empty_like(value, device="cpu")


def _fitting(kept: dict[_Path, Tensor], path: _Path, value: Tensor) -> Tensor:
    """Memory for a tensor: that of the last time, if it was of the same kind."""
    target = kept.get(path)
    if target is None or (target.shape, target.dtype, target.device) != (value.shape, value.dtype, value.device):
        target = kept[path] = torch.empty_like(value.detach())
    return target


def _mapped(value: Any, place: _Place, path: _Path) -> Any:
    """The same containers, with other tensors in them."""
    if isinstance(value, Tensor):
        return place(path, value)
    if isinstance(value, dict):
        copied: dict[Any, Any] = OrderedDict() if isinstance(value, OrderedDict) else {}
        copied.update((key, _mapped(inner, place, (*path, key))) for key, inner in value.items())
        if isinstance(copied, OrderedDict):
            copied.__dict__.update(value.__dict__)  # a state_dict carries the versions of its modules so
        return copied
    if isinstance(value, list | tuple):
        inside = [_mapped(inner, place, (*path, number)) for number, inner in enumerate(value)]
        return tuple(inside) if isinstance(value, tuple) else inside
    return value
