"""Putting together what each rank has of a batch, with its gradient.

The loss needs all views of a batch as negatives. Every rank computes the whole loss on what was gathered; so that the
mean of the ranks' gradients, which DistributedDataParallel takes, is the gradient of that one loss, the gradients that
ranks have for each other's rows are added up on the way back (the adjoint of a gather is a scatter of sums; as in
google-research/simclr's `tpu_cross_replica_concat`). A gather without a gradient would train each rank as if the
others' views were constants.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.distributed.collectives import timed
from trainer.ranks import Ranks


class _Gather(torch.autograd.Function):
    """(n, …) of each rank to (W, n, …) on every rank."""

    @staticmethod
    def forward(context: Any, own: Tensor, rank: int, world: int) -> Tensor:
        """All ranks' tensors, in the order of the ranks."""
        context.rank = rank
        whole = [torch.empty_like(own) for _ in range(world)]
        with timed(own):
            dist.all_gather(whole, own.contiguous())
        return torch.stack(whole)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The sum of what all ranks have for this rank's rows."""
        total = gradients[0].contiguous().clone()
        with timed(total):
            dist.all_reduce(total)
        return total[context.rank], None, None


def gather_views(own: Tensor, views: int, ranks: Ranks) -> Tensor:
    """The network's output for the whole batch, from that for each rank's share of its images.

    Args:
        own: (V·n, P), view 1 of all of this rank's images, then view 2; n the same on every rank.
        views: V.
        ranks: who this process is.

    Returns:
        (V·W·n, P), view 1 of all images, rank by rank, then view 2: in the order of one process that has them all.
    """
    if ranks.is_alone:
        return own
    gathered: Tensor = _Gather.apply(own, ranks.rank, ranks.world)
    together: Tensor = gathered.unflatten(1, (views, -1)).transpose(0, 1).flatten(0, 2)
    return together


def gather_rows(own: Tensor, ranks: Ranks) -> Tensor:
    """Rows of all ranks one after the other, without a gradient, such as labels: (n, …) to (W·n, …)."""
    if ranks.is_alone:
        return own
    whole = [torch.empty_like(own) for _ in range(ranks.world)]
    with timed(own):
        dist.all_gather(whole, own.contiguous())
    return torch.cat(whole)
