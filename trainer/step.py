"""What training changes, and one change of it (Chen et al. 2020, Algorithm 1)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from trainer import randomness
from trainer.clock import RunClock
from trainer.config import TIMM, PretrainConfig
from trainer.device import Machine
from trainer.guard import FiniteGuard
from trainer.loss import ContrastiveMetrics
from trainer.model import SimCLRModel, build_model
from trainer.objective import objective
from trainer.optim import averaged_model, build_optimizer, clip_gradients, grad_norm, plain_state, set_learning_rate
from trainer.parts import BACKWARD, FORWARD, LOSS, OPTIMISER, Part, unmeasured
from trainer.payload import check_fit


@dataclass(slots=True)
class TrainState:
    """Everything that training changes; a checkpoint holds it and nothing else."""

    model: SimCLRModel
    optimizer: torch.optim.Optimizer
    clock: RunClock
    data: str
    """Fingerprint of the images that are trained on."""
    ema: AveragedModel | None = None
    """Moving average of the weights, where one is kept."""
    step: int = 0
    """Steps taken."""
    lr: float = field(init=False)
    """Learning rate of the latest step."""
    closed_epochs: int = 0
    """Epochs whose end, with its evaluation and its row, is done."""
    guard: FiniteGuard = field(init=False)
    """Takes the steps that may be taken."""

    def __post_init__(self) -> None:
        """Guard what is on its device by now."""
        self.lr = float(self.optimizer.param_groups[0]["lr"])
        on_cuda = next(self.model.parameters()).is_cuda
        self.guard = FiniteGuard(self.model, self.optimizer, self.ema, on_device=on_cuda)

    @property
    def scored_model(self) -> SimCLRModel:
        """The model whose scores are taken: the averaged one where there is one."""
        return self.model if self.ema is None else cast("SimCLRModel", self.ema.module)

    def payload(self) -> dict[str, Any]:
        """What a checkpoint stores: tensors, numbers and strings."""
        averaged = {} if self.ema is None else {"ema": self.ema.module.state_dict()}
        return averaged | {
            "classes": self.model.classes,
            "model": self.model.state_dict(),
            "optimizer": plain_state(self.optimizer, self.lr),
            "step": self.step,
            "closed_epochs": self.closed_epochs,
            "clock": self.clock.to_state(),
            "data": self.data,
        }

    def restore(self, payload: dict[str, Any]) -> None:
        """Become what a checkpoint stored.

        Raises:
            DataError: it is of another architecture. Nothing was changed then.
        """
        averaged = {} if self.ema is None else {"ema": self.ema.module}
        check_fit(payload, {"model": self.model, **averaged}, self.optimizer)
        self.model.load_state_dict(payload["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(payload["ema"])
        self.optimizer.load_state_dict(payload["optimizer"])
        self.lr = float(self.optimizer.param_groups[0]["lr"])
        self.step = payload["step"]
        self.closed_epochs = payload["closed_epochs"]
        self.clock = RunClock(**payload["clock"])

    def checkpoint_bytes(self, config: PretrainConfig) -> int:
        """What a checkpoint takes on the disk, from the tensors that it will hold; names and padding add little."""
        weights: int = sum(value.nbytes for value in self.model.parameters())
        moments = {"adamw": 2, "sgd": int(config.momentum > 0), "lars": 1}[config.optimizer] * weights
        modules = (self.model,) if self.ema is None else (self.model, self.ema.module)
        tensors: int = sum(value.nbytes for module in modules for value in module.state_dict().values())
        return moments + tensors


def new_state(config: PretrainConfig, machine: Machine, *, classes: int, data: str) -> TrainState:
    """What a run begins with, on its device; a function of the settings alone.

    Args:
        config: the settings.
        machine: the device.
        classes: of the split that is trained on.
        data: fingerprint of its images.
    """
    model = build_model(config, classes=classes)
    model = model.to(machine.device).to(memory_format=machine.memory_format)
    ema = averaged_model(model, config.ema_decay) if config.ema_decay else None
    return TrainState(model, build_optimizer(model, config), RunClock(), data=data, ema=ema)


@dataclass(frozen=True, slots=True)
class Functions:
    """What a step calls on its way, as they are written or compiled."""

    network: Callable[[Tensor], Tensor]
    """From the views (V·N, 3, S, S) to z (V·N, P), in training mode."""
    objective: Callable[[Tensor, PretrainConfig, Tensor | None], tuple[Tensor, ContrastiveMetrics]] = objective


def train_step(
    state: TrainState,
    views: Tensor,
    lr: float,
    config: PretrainConfig,
    machine: Machine,
    labels: Tensor | None = None,
    *,
    part: Part = unmeasured,
) -> Tensor:
    """One update; float32 (5,) on the device: loss, acc_top1, acc_top5, acc_mean_pos, gradient norm.

    Args:
        state: what is updated.
        views: (V·N, 3, S, S), on the device, view 1 of all images first.
        lr: learning rate of this step.
        config: the settings.
        machine: the device.
        labels: (N,), where the method is supervised.
        part: times the parts of the step.
    """
    with part(OPTIMISER):
        begin_step(state, lr, config)
    return update(state, views, config, machine, labels, part=part)


def begin_step(state: TrainState, lr: float, config: PretrainConfig) -> None:
    """What the host sets before a step: all of a step that can't be part of a CUDA graph.

    Args:
        state: what will be updated.
        lr: learning rate of the step.
        config: the settings.
    """
    state.model.train()
    state.lr = lr
    set_learning_rate(state.optimizer, lr)
    if config.backbone.startswith(TIMM):  # it may have dropout, which must be a function of the step too
        torch.manual_seed(randomness.key(config.seed, "step", state.step + 1))


def update(
    state: TrainState,
    views: Tensor,
    config: PretrainConfig,
    machine: Machine,
    labels: Tensor | None = None,
    functions: Functions | None = None,
    *,
    part: Part = unmeasured,
) -> Tensor:
    """The work of a step on the device, at the learning rate that the optimiser has; what `train_step` gives.

    All views go through the network in one batch, or batch norm could tell them apart. The norm is the one before
    clipping. Where it or the loss is not finite, weights, average and batch norm's statistics stay as they were.

    Args:
        state: what is updated.
        views: (V·N, 3, S, S), on the device, view 1 of all images first.
        config: the settings.
        machine: the device.
        labels: (N,), where the method is supervised.
        functions: what is called; by default the model and the objective as they are written.
        part: times the parts of the step.
    """
    functions = functions or Functions(state.model)
    with part(FORWARD), machine.autocast():
        state.guard.remember()
        z = functions.network(views)
    with part(LOSS):
        loss, metrics = functions.objective(z, config, labels)
    with part(BACKWARD):
        # To None: a captured backward pass then writes its gradients, into memory of the graph's own, at each replay.
        # Gradients that were zeroed instead would be added to, and take one more kernel each.
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
    with part(OPTIMISER):
        norm = grad_norm(state.model.parameters())
        if config.clip_grad_norm:
            clip_gradients(state.model.parameters(), config.clip_grad_norm, norm)
        state.guard.update(loss.detach(), norm)
    with part(LOSS):
        figures = (loss.detach(), metrics.acc_top1, metrics.acc_top5, metrics.acc_mean_pos, norm)
        return torch.stack([figure.float() for figure in figures])
