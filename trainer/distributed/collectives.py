"""Timing the collectives of a step without making it wait.

gloo's make the host wait, so the host's clock has their time. NCCL's are work of the device: its own watchdog thread
tells how long each took by CUDA events (torch.distributed, `WorkInfo.active_duration`), which covers those within
SyncBatchNorm and DistributedDataParallel too; `trainer.group.joined` asks for these events. Both count from the moment
that this rank has begun a collective.
"""

import contextlib
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from trainer.pace import PACE


def timed(tensor: Tensor) -> AbstractContextManager[None]:
    """Time a blocking collective of a tensor on a CPU; those on CUDA devices are timed by `time_collectives`."""
    return nullcontext() if tensor.is_cuda else PACE.collective()


def average_timed(_state: None, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:  # type: ignore[name-defined]
    """Average a bucket of gradients over the ranks, as DistributedDataParallel does by itself, and time it."""
    gradients: Tensor = bucket.buffer()
    began = time.perf_counter()
    future = dist.all_reduce(gradients.div_(dist.get_world_size()), async_op=True).get_future()

    def done(reduced: Any) -> Tensor:
        PACE.add_collective(time.perf_counter() - began)
        result: Tensor = reduced.value()[0]
        return result

    return future.then(done)


def time_collectives(network: DistributedDataParallel, device: torch.device) -> None:
    """Let the time of every collective of a network's steps be counted.

    Where NCCL does not tell, as with TORCH_NCCL_ENABLE_TIMING=0, collectives are not timed, and the ranks' own times
    are not known.
    """
    if device.type != "cuda":
        network.register_comm_hook(None, average_timed)
        return
    with contextlib.suppress(RuntimeError, AttributeError, ValueError):  # ValueError: it records no events
        group: Any = dist.group.WORLD
        backend = group._get_backend(device)
        backend._register_on_completion_hook(lambda work: PACE.add_collective(work.active_duration.total_seconds()))
