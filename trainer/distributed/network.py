"""The network and the objective of a step that several ranks take together."""

import inspect
from typing import Any

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


def connected(model: nn.Module, machine: Machine) -> nn.Module:
    """A model whose gradients are averaged over the ranks, with its collectives timed."""
    on_device = [machine.device] if machine.is_cuda else None
    # Statistics are equal by themselves, and are the guard's to put back. torch 2.15 calls this option otherwise.
    names = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {name: False}
    network = DistributedDataParallel(model, device_ids=on_device, **options)
    time_collectives(network, machine.device)
    return network
