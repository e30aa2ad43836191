"""The network and the objective of a step that several ranks take together."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.distributed.batch_norm import share_batch_norm
from trainer.distributed.collectives import time_collectives
from trainer.distributed.gather import gather_rows, gather_views
from trainer.loss import ContrastiveMetrics
from trainer.objective import objective
from trainer.ranks import Ranks
from trainer.step import Functions, TrainState


def shared_functions(state: TrainState, machine: Machine, ranks: Ranks) -> Functions:
    """What a step calls: the network under DistributedDataParallel, and the objective of the whole batch.

    Every rank computes the whole objective, so its figures are those of the batch on all of them.

    Args:
        state: what is trained; its batch norm sees the whole batch from now on. The others' weights become rank 0's.
        machine: the device.
        ranks: who this process is.
    """
    share_batch_norm(state.model, machine.device)

    def shared_objective(z: Tensor, config: PretrainConfig, labels: Tensor | None) -> tuple[Tensor, ContrastiveMetrics]:
        whole = None if labels is None else gather_rows(labels.to(z.device), ranks)
        return objective(gather_views(z, config.views, ranks), config, whole)

    return Functions(connected(state.model, machine), shared_objective)


class Called(nn.Module):
    """A model as it is written, until it is compiled; the weights are the model's own."""

    def __init__(self, model: nn.Module) -> None:
        """Args: the model."""
        super().__init__()
        self.model = model
        self._called: list[Callable[[Tensor], Any]] = [model]  # in a list, which torch takes for no second module

    def forward(self, views: Tensor) -> Tensor:
        """What the model gives."""
        result: Tensor = self._called[0](views)
        return result

    def compile_model(self) -> None:
        """Call it compiled by inductor from now on, for one shape of a batch, in pieces between the collectives."""
        self._called[0] = torch.compile(self.model, dynamic=False)


def connected(model: nn.Module, machine: Machine) -> DistributedDataParallel:
    """A model whose gradients are averaged over the ranks, with its collectives timed."""
    on_device = [machine.device] if machine.is_cuda else None
    # Statistics are equal by themselves, and are the guard's to put back. torch 2.15 calls this option otherwise.
    names = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    network = DistributedDataParallel(Called(model), device_ids=on_device, **options)
    time_collectives(network, machine.device)
    return network
