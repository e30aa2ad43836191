"""Weights that never change by a step whose loss or gradient is not finite.

On a CPU the two figures are looked at before the update, which costs nothing. On CUDA that would make the host wait for
the device at every step, so the verdict stays there and gates the update: the fused optimisers are handed it as
`found_inf`, by which their kernels leave everything as it is (torch.amp.GradScaler's way), and what they don't gate is
copied before the update and chosen from after it. Once a step was bad no later one changes anything, until the host
reads the figures at the next flush of the recorder and ends the run. torchtitan looks at the loss and the norm before
the update too (torch._assert_async, which kills the CUDA context with it).

Batch norm's statistics change in the forward pass, before anything can be known: they are copied before it.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class FiniteGuard:
    """Takes the steps of an optimiser that may be taken: `remember`, forward and backward pass, `update`."""

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, ema: AveragedModel | None, *, on_device: bool
    ) -> None:
        """Args: what a step changes, and whether the verdict stays on the device instead of being read.

        All of it must be on its device already; what is loaded into it later must be loaded in place.
        """
        self._optimizer = optimizer
        self._model = model
        self._ema = ema
        self._on_device = on_device
        self._buffers = list(model.buffers())
        self._statistics = [torch.empty_like(buffer) for buffer in self._buffers]
        device = next(model.parameters()).device
        self._bad = torch.zeros((), dtype=torch.bool, device=device)
        self._is_gated_by_kernels = all(group.get("fused") for group in optimizer.param_groups)
        self._copied: list[Tensor] = [] if self._is_gated_by_kernels else list(model.parameters())
        if ema is not None:
            self._copied += [*ema.module.parameters(), *ema.module.buffers()]
        self._copies = [torch.empty_like(value) for value in self._copied] if on_device else []
        self.has_tripped = False
        """Whether a step was refused, as far as the host knows without asking the device."""

    @property
    def is_on_device(self) -> bool:
        """Whether the verdict stays on the device, so that a CUDA graph can hold the guard."""
        return self._on_device

    @property
    def tensors(self) -> list[Tensor]:
        """What of the guard's own outlasts a step: whether one was bad."""
        return [self._bad]

    @torch.no_grad()
    def remember(self) -> None:
        """Before the forward pass: keep batch norm's statistics."""
        copy_together(self._statistics, self._buffers)

    @torch.no_grad()
    def update(self, loss: Tensor, norm: Tensor) -> None:
        """Take the optimiser's step and move the average, unless a figure of this step or of one before is not finite.

        Args:
            loss: a scalar, on the device.
            norm: the L2 norm of all gradients, which is not finite if any of them is not.
        """
        if self._on_device:
            self._update_on_device(loss, norm)
        elif self.has_tripped or not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            self.has_tripped = True
            copy_together(self._buffers, self._statistics)
        else:
            self._optimizer.step()
            self._follow()

    def _update_on_device(self, loss: Tensor, norm: Tensor) -> None:
        self._bad.logical_or_(~(loss.isfinite() & norm.isfinite()))
        copy_together(self._copies, self._copied)
        if self._is_gated_by_kernels:
            self._optimizer.found_inf = self._bad.float()  # type: ignore[attr-defined]
        try:
            self._optimizer.step()
        finally:
            if self._is_gated_by_kernels:
                del self._optimizer.found_inf  # type: ignore[attr-defined]
        _choose(self._buffers, self._statistics, self._bad)
        # The average follows the buffers that are left, so it is the last to be chosen.
        self._follow()
        _choose(self._copied, self._copies, self._bad)

    def _follow(self) -> None:
        if self._ema is not None:
            self._ema.update_parameters(self._model)


def copy_together(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Copy tensors in as few kernels as may be: those of one type and device go together."""
    kinds: dict[tuple[torch.dtype, torch.device], tuple[list[Tensor], list[Tensor]]] = {}
    for target, source in zip(targets, sources, strict=True):
        pair = kinds.setdefault((source.dtype, source.device), ([], []))
        pair[0].append(target)
        pair[1].append(source)
    for pair in kinds.values():
        torch._foreach_copy_(*pair)


def _choose(values: list[Tensor], before: list[Tensor], bad: Tensor) -> None:
    """Put back what was there before where the step is bad; bit for bit the same otherwise."""
    for value, old in zip(values, before, strict=True):
        torch.where(bad, old, value, out=value)


def first_spoilt(payload: dict[str, Any]) -> str | None:
    """The name of a tensor of a checkpoint's payload that holds NaN or infinity, None where all are sound.

    Waits for the device once. An update of finite gradients can still overflow, which no loss has told of yet.
    """
    named = [(name, value) for name, value in _tensors(payload, "") if value.is_floating_point()]
    if not named:
        return None
    by_device: dict[torch.device, list[tuple[str, Tensor]]] = {}
    for name, value in named:
        by_device.setdefault(value.device, []).append((name, value))
    for group in by_device.values():
        sound = torch.stack([value.isfinite().all() for _, value in group]).tolist()
        spoilt = [name for (name, _), is_sound in zip(group, sound, strict=True) if not is_sound]
        if spoilt:
            return spoilt[0]
    return None


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
        return
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, inner in parts:
        yield from _tensors(inner, f"{name}.{key}" if name else str(key))
