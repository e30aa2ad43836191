"""A step that is run another way, held against the eager one from the same state; the state is left as it was.

A graph that read a stale buffer, or a compiler's mistake, would train something else without a word.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.step import TrainState


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far apart two ways may be."""

    figures: float
    """Loss and norm of the gradient, relatively."""
    update: float
    """What weights and statistics moved by: the norm of the difference, over that of the move. AdamW's first steps
    have the size of the learning rate in each weight, so that a gradient near 0 whose sign flips shows in full. A step
    with a stale rate or batch, or none, is 1 or more apart."""


GRAPH = Tolerance(figures=1e-3, update=0.1)
"""The same kernels, which may add in another order where they are not deterministic."""
COMPILED = Tolerance(figures=0.05, update=0.5)
"""Other kernels, which round to bfloat16 at other places."""


class Rollback:
    """Copies of everything that a step changes, to be put back."""

    def __init__(self, state: TrainState, beside: Iterable[Tensor] = ()) -> None:
        """Args: whose tensors are copied, and others that are as well."""
        self._state = state
        self._beside = list(beside)
        self._has_tripped = state.guard.has_tripped
        self._copies = {id(value): (value, value.detach().clone()) for value in self._values()}

    def _values(self) -> list[Tensor]:
        state = self._state
        modules = [state.model] if state.ema is None else [state.model, state.ema.module]
        tensors = [value for module in modules for value in (*module.parameters(), *module.buffers())]
        return [*tensors, *state.guard.tensors, *self._beside, *self._moments()]

    def _moments(self) -> list[Tensor]:
        kept = (value for values in self._state.optimizer.state.values() for value in values.values())
        return [value for value in kept if isinstance(value, Tensor)]

    @torch.no_grad()
    def put_back(self) -> None:
        """Make all of it what it was, in place.

        Moments that the optimiser has made since become 0, from which its first step does what it does from none.
        """
        for value in self._moments():
            if id(value) not in self._copies:
                value.zero_()
        for value, copy in self._copies.values():
            value.copy_(copy)
        self._state.guard.has_tripped = self._has_tripped

    def moves(self) -> list[Tensor]:
        """What each tensor of weights and statistics has moved by, float32."""
        model = self._state.model
        named = [*model.parameters(), *(value for value in model.buffers() if value.is_floating_point())]
        return [(value.detach() - self._copies[id(value)][1]).float() for value in named]


def difference(
    state: TrainState,
    beside: Iterable[Tensor],
    eager: Callable[[], Tensor],
    other: Callable[[], Tensor],
    tolerance: Tolerance,
) -> str:
    """What is wrong with another way of a step, in words; empty where nothing is.

    Args:
        state: what both begin from; it is left as it was.
        beside: tensors that steps change beside it.
        eager: takes the step as it is written; figures as `train_step` gives them.
        other: takes it the other way.
        tolerance: how far apart the two may be.
    """
    before = Rollback(state, beside)
    try:
        expected, moves = eager().tolist(), before.moves()
        before.put_back()
        found = other().tolist()
        apart = [mine - move for mine, move in zip(before.moves(), moves, strict=True)]
        moved, off = (float(torch.nn.utils.get_total_norm(values)) for values in (moves, apart))
    finally:
        before.put_back()
    for name, place in (("loss", 0), ("gradient norm", 4)):
        if not _is_near(expected[place], found[place], tolerance.figures):
            return f"its {name} is {found[place]:.6g}, and {expected[place]:.6g} when each operation is launched"
    if not off <= tolerance.update * moved:
        share = f"{100 * off / moved:.0f} %" if moved else "not 0"
        return f"what it moves the weights by is {share} off what they move when each operation is launched"
    return ""


def _is_near(expected: float, found: float, tolerance: float) -> bool:
    """Whether two figures agree; where both are not finite there is nothing to compare."""
    if not abs(expected) < float("inf"):
        return not abs(found) < float("inf")
    return abs(found - expected) <= tolerance * abs(expected)
