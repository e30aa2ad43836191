"""The update: AdamW, SGD or LARS, an average of the weights, and the norm of the gradient."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from trainer.config import PretrainConfig
from trainer.lars import LARS
from trainer.schedule import highest_rate


def build_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """The optimiser over all parameters.

    The fused kernels are taken on CUDA and on a CPU. Build it once the model is on its device; `state_dict` holds
    only tensors and numbers and loads with `weights_only`.
    """
    groups = parameter_groups(model, config)
    highest = highest_rate(config)
    # None leaves the choice to torch where there is no fused kernel for the device.
    fused = True if all(p.device.type in ("cuda", "cpu") for p in model.parameters()) else None
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=highest, weight_decay=config.weight_decay, fused=fused)
    if config.optimizer == "sgd":
        momentum, decay = config.momentum, config.weight_decay
        return torch.optim.SGD(groups, lr=highest, momentum=momentum, weight_decay=decay, fused=fused)
    return LARS(
        # What is not decayed is not adapted either (google-research/simclr).
        [group | {"adapt": group.get("weight_decay") != 0.0} for group in groups],
        lr=highest,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        trust_coefficient=config.trust_coefficient,
    )


def parameter_groups(model: nn.Module, config: PretrainConfig) -> list[dict[str, Any]]:
    """All parameters in one group, or those of norms and biases in a second one without decay.

    A vector is taken for one of these: a norm's scale and offset and a bias are, no other weight of a convolution,
    linear layer or attention is. (The layer scales of some of timm's models are too, as in timm's own rule.)
    """
    if config.decay_norm_and_bias:
        return [{"params": list(model.parameters())}]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


class MovingAverage(AveragedModel):
    """torch's averaged model with an exponential average that never waits for the device.

    torch's own update moves its counter to the device each time, and waits until it is there.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Args: the model that is copied and followed, and the part of the average that stays at each update."""
        super().__init__(model, use_buffers=True)
        self._weight = 1 - decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move towards the model; whole numbers, such as batch norm's counts, become the model's."""
        averaged = [*self.module.parameters(), *self.module.buffers()]
        pairs = list(zip(averaged, [*model.parameters(), *model.buffers()], strict=True))
        fractions = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([mine for mine, _ in fractions], [theirs for _, theirs in fractions], self._weight)
        for mine, theirs in pairs:
            if not mine.is_floating_point():
                mine.copy_(theirs)


def averaged_model(model: nn.Module, decay: float) -> MovingAverage:
    """A copy of a model that follows it as an exponential moving average, buffers (batch norm's statistics) too.

    It begins as the model itself; `update_parameters(model)` after each step moves it by 1 − decay of the way.
    """
    return MovingAverage(model, decay)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group that rate; a rate that is a tensor is filled, so that a CUDA graph sees it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def make_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Let a CUDA graph hold the optimiser's step: the learning rate becomes a tensor on the device.

    Call it when a checkpoint has been loaded, which brings its own groups. The fused kernels read a rate of float32
    on CUDA; a CPU's take it as a number of float64, so that the tensor gives the same bits as the number there.

    Args:
        optimizer: of `build_optimizer`.
        device: of its parameters.
    """
    for group in optimizer.param_groups:
        dtype = torch.float32 if device.type == "cuda" else torch.float64
        group["lr"] = torch.tensor(float(group["lr"]), dtype=dtype, device=device)
        if "capturable" in group:
            group["capturable"] = True


def make_plain(optimizer: torch.optim.Optimizer) -> None:
    """Take back `make_capturable`."""
    for group in optimizer.param_groups:
        group |= _plain(group, float(group["lr"]))


def plain_state(optimizer: torch.optim.Optimizer, rate: float) -> dict[str, Any]:
    """Its `state_dict`, the same however its steps are run: with the rate as a number, and not capturable.

    Args:
        optimizer: of `build_optimizer`.
        rate: what the rate is where it is a tensor, so that the device need not be asked.
    """
    state = optimizer.state_dict()
    return state | {"param_groups": [group | _plain(group, rate) for group in state["param_groups"]]}


def _plain(group: dict[str, Any], rate: float) -> dict[str, Any]:
    plain: dict[str, Any] = {"lr": rate} if isinstance(group["lr"], Tensor) else {}
    return plain | ({"capturable": False} if "capturable" in group else {})


@torch.no_grad()
def grad_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The L2 norm of all gradients together, a scalar on their device; nothing waits for the device."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], limit: float, norm: Tensor) -> None:
    """Shorten all gradients together to an L2 norm of at most `limit`; nothing waits for the device.

    Args:
        parameters: whose gradients they are.
        limit: above 0.
        norm: what `grad_norm` gave for them.
    """
    torch.nn.utils.clip_grads_with_norm_(list(parameters), limit, norm)
