"""Which images of a batch belong to which rank.

The order of an epoch, its batches and the draws of every image are those of one process: a rank takes its own piece
out of each batch, and nothing depends on how many ranks there are.
"""

from trainer.distributed.group import Ranks
from trainer.errors import ConfigError


def share(size: int, ranks: Ranks) -> slice:
    """This rank's piece of a batch of so many images: rank 0 has the first ones.

    Raises:
        ConfigError: the images can't be shared out evenly.
    """
    if size % ranks.world:
        raise ConfigError("batch_size", f"{size} images can't be shared out evenly among {ranks.world} ranks")
    piece = size // ranks.world
    return slice(ranks.rank * piece, (ranks.rank + 1) * piece)


def check_shares(batch_size: int, count: int, *, drop_last: bool, ranks: Ranks) -> None:
    """Refuse what could not be shared out in the middle of an epoch.

    Args:
        batch_size: images of a batch, of all ranks together.
        count: images of an epoch.
        drop_last: whether a short last batch is left out.
        ranks: who this process is.

    Raises:
        ConfigError: the batch, or the short last one, is no multiple of the ranks.
    """
    if batch_size % ranks.world:
        lower = batch_size // ranks.world * ranks.world
        better = f"{lower} or {lower + ranks.world}" if lower else str(ranks.world)
        raise ConfigError("batch_size", f"{batch_size} is no multiple of the {ranks.world} ranks; give {better}")
    if not drop_last and count % batch_size % ranks.world:
        raise ConfigError(
            "drop_last",
            f"the short last batch of {count % batch_size} images is no multiple of the {ranks.world} ranks; give "
            "--drop-last, or a batch size that leaves one",
        )
