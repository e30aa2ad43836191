"""LARS: SGD with momentum whose step fits the size of each layer's weights.

You, Gitman and Ginsburg 2017, arXiv 1708.03888, as google-research/simclr has it (lars_optimizer.py with classic
momentum): the decay joins the gradient before its norm is taken, and the learning rate goes into the momentum.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LARS(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling.

    With weights w, gradient g, decay d, momentum m, trust coefficient e and learning rate r, for each tensor:

        g ← g + d·w;   ratio = e·‖w‖ / ‖g‖, or 1 where either norm is 0;   v ← m·v + r·ratio·g;   w ← w − v

    A group with `adapt=False` has the ratio 1 and so is plain SGD: google-research/simclr treats batch norm and biases
    like this, the same that it doesn't decay.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float,
        *,
        momentum: float,
        weight_decay: float,
        trust_coefficient: float,
    ) -> None:
        """Args: the parameters or groups, and what the formula calls r, m, d and e."""
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"trust_coefficient": trust_coefficient, "adapt": True})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take one step; nothing waits for the device."""
        assert closure is None, "LARS takes no closure"
        for group in self.param_groups:
            weights: list[Tensor] = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step_group(weights, group)

    def _step_group(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients: list[Tensor] = [weight.grad for weight in weights if weight.grad is not None]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        if group["adapt"]:
            ratios = _trust_ratios(weights, gradients, group["trust_coefficient"])
            gradients = list(torch._foreach_mul(gradients, ratios))
        velocities = [self._velocity(weight) for weight in weights]
        torch._foreach_mul_(velocities, group["momentum"])
        rate = group["lr"]
        if isinstance(rate, Tensor):  # as a number it would be read by the host, and a CUDA graph would keep it
            torch._foreach_add_(velocities, torch._foreach_mul(gradients, rate))
        else:
            torch._foreach_add_(velocities, gradients, alpha=rate)
        torch._foreach_sub_(weights, velocities)

    def _velocity(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["velocity"] = torch.zeros_like(weight)
        velocity: Tensor = state["velocity"]
        return velocity


def _trust_ratios(weights: list[Tensor], gradients: list[Tensor], coefficient: float) -> list[Tensor]:
    """One scalar tensor for each layer."""
    pairs = zip(torch._foreach_norm(weights), torch._foreach_norm(gradients), strict=True)
    return [torch.where((w > 0) & (g > 0), coefficient * w / g, 1.0) for w, g in pairs]
