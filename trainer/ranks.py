"""Who this process is among those that train a run together, as a launcher such as torchrun says. Needs no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.errors import ConfigError

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True, slots=True)
class Ranks:
    """Who this process is among those that train the run together."""

    rank: int = 0
    """0 to world − 1; 0 leads: it has the store, the checkpoints and what a person reads."""
    world: int = 1
    """How many there are."""
    local_rank: int = 0
    """The place on its own machine, which is the number of its GPU."""
    local_world: int = 1
    """How many there are on its own machine."""

    @property
    def is_alone(self) -> bool:
        """Whether nobody else trains this run."""
        return self.world == 1

    @property
    def leads(self) -> bool:
        """Whether this one says what is done."""
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
        here = int(environment.get("LOCAL_WORLD_SIZE") or 1)
        rank, world, local_rank = (int(environment[name]) for name in _NAMES)
    except (KeyError, ValueError) as error:
        raise ConfigError("device", f"torchrun's {', '.join(_NAMES)} are not all numbers ({error}); {remedy}") from None
    ranks = Ranks(rank=rank, world=world, local_rank=local_rank, local_world=here)
    if not (0 <= ranks.rank < ranks.world and ranks.local_rank >= 0):
        raise ConfigError("device", f"torchrun's RANK {ranks.rank} is none of {ranks.world} ranks; {remedy}")
    return ranks


def starts_again(environment: Mapping[str, str]) -> bool:
    """Whether torchrun starts all ranks again when one has ended with anything but 0 (`--max-restarts`)."""
    return environment.get("TORCHELASTIC_MAX_RESTARTS", "0") not in ("", "0")


def is_lost_rank(error: Exception) -> bool:
    """Whether an error of torch's engine says that another rank is not there any more."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(name in text for name in ("gloo", "nccl", "connection"))
