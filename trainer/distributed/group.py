"""The group of ranks that a launcher such as torchrun has started this process in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trainer.errors import ConfigError

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_PATIENCE = timedelta(minutes=10)
"""How long a rank waits for the others: loading and evaluating are done by one while the others wait."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Who this process is among those that train the run together."""

    rank: int = 0
    """0 to world − 1; 0 writes the store."""
    world: int = 1
    """How many there are."""
    local_rank: int = 0
    """The place on its own machine, which is the number of its GPU."""

    @property
    def is_alone(self) -> bool:
        """Whether nobody else trains this run."""
        return self.world == 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes the store, the checkpoints and what a person reads."""
        return self.rank == 0


ALONE = Ranks()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """Who a launcher says that this process is (docs.pytorch.org, torchrun, environment variables).

    Raises:
        ConfigError: its words are no numbers or contradict each other.
    """
    if not environment.get("WORLD_SIZE"):
        return ALONE
    remedy = "start all ranks by torchrun"
    try:
        ranks = Ranks(*(int(environment[name]) for name in _NAMES))
    except (KeyError, ValueError) as error:
        raise ConfigError("device", f"torchrun's {', '.join(_NAMES)} are not all numbers ({error}); {remedy}") from None
    if not (0 <= ranks.rank < ranks.world and ranks.local_rank >= 0):
        raise ConfigError("device", f"torchrun's RANK {ranks.rank} is none of {ranks.world} ranks; {remedy}")
    return ranks


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Be connected with the other ranks: by NCCL for tensors on CUDA devices, by gloo for those on a CPU.

    Args:
        ranks: who this process is.
        device: where it trains.
    """
    if ranks.is_alone:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, rank=ranks.rank, world_size=ranks.world, timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def highest(number: int, ranks: Ranks) -> int:
    """The highest of the numbers that the ranks bring: what one of them was asked becomes known to all."""
    if ranks.is_alone:
        return number
    shared = torch.tensor(number)
    dist.all_reduce(shared, dist.ReduceOp.MAX)
    return int(shared)


def from_first(value: Any, ranks: Ranks) -> Any:
    """What rank 0 brings, on every rank; anything that can be pickled."""
    if ranks.is_alone:
        return value
    box = [value if ranks.is_first else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def fingerprints_differ(weights: Tensor, ranks: Ranks) -> bool:
    """Whether some rank's copy of the weights is not that of the others, bit for bit.

    Args:
        weights: any tensor that should be the same everywhere, such as all weights one after the other.
        ranks: who this process is.
    """
    if ranks.is_alone:
        return False
    mine = weights.detach().contiguous().view(torch.uint8).cpu().to(torch.int64)
    places = torch.arange(1, mine.numel() + 1)
    mark = torch.stack([mine.sum(), (mine * (places % 65_521)).sum()])
    low, high = mark.clone(), mark.clone()
    dist.all_reduce(low, dist.ReduceOp.MIN)
    dist.all_reduce(high, dist.ReduceOp.MAX)
    return not torch.equal(low, high)
