"""The update: AdamW or SGD, and the learning rate as a pure function of the step.

There is no scheduler object and so no state of one: a resumed run asks for the rate of its step.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainer.config import PretrainConfig


def build_optimizer(model: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """The optimiser over all parameters, batch norm and biases decayed too as in the UvA tutorial 17.

    The fused kernels are taken on CUDA and on a CPU. Build it once the model is on its device; `state_dict` holds
    only tensors and numbers and loads with `weights_only`.
    """
    parameters = list(model.parameters())
    # None leaves the choice to torch where there is no fused kernel for the device.
    fused = True if all(p.device.type in ("cuda", "cpu") for p in parameters) else None
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=fused,
        )
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)


def learning_rate(step: int, steps_per_epoch: int, config: PretrainConfig) -> float:
    """The learning rate of a step: a linear warm-up, then a cosine from the highest rate to its floor.

    The k-th of W warm-up steps gets k/W of the highest rate. The cosine is that of torch's CosineAnnealingLR
    (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts): its first step has the highest rate and the
    floor would be reached one step after the last. With `schedule="epoch"` epochs are counted instead of steps and
    all steps of an epoch share a rate.

    Args:
        step: counted from 1.
        steps_per_epoch: optimiser steps in an epoch.

    Raises:
        ValueError: the step or the steps per epoch are below 1.
    """
    if step < 1 or steps_per_epoch < 1:
        raise ValueError(f"step {step} of {steps_per_epoch} an epoch: both are counted from 1; give 1 or more")
    per_epoch = 1 if config.schedule == "epoch" else steps_per_epoch
    done = (step - 1) // steps_per_epoch if config.schedule == "epoch" else step - 1
    warmup, total = config.warmup_epochs * per_epoch, config.epochs * per_epoch
    highest, floor = config.learning_rate, config.learning_rate_floor
    if done < warmup:
        return highest * min(1.0, (done + 1) / warmup)
    progress = min(1.0, (done - warmup) / (total - warmup)) if total > warmup else 1.0
    return highest * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group that rate; a rate that is a tensor is filled, so that a CUDA graph sees it."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


@torch.no_grad()
def grad_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The L2 norm of all gradients together, a scalar on their device; nothing waits for the device."""
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
