"""Which images of a batch belong to which rank.

The order of an epoch, its batches and the draws of every image are those of one process: a rank takes its own piece
out of each batch, and nothing depends on how many ranks there are.
"""

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.ranks import Ranks


def share(batch: slice, ranks: Ranks) -> slice:
    """This rank's piece of a batch: rank 0 has the first images.

    Args:
        batch: where the batch lies in the epoch's order, from its first image to behind its last one.
        ranks: who this process is.

    Raises:
        ConfigError: the images can't be shared out evenly.
    """
    size = batch.stop - batch.start
    if size % ranks.world:
        raise ConfigError("batch_size", f"{size} images can't be shared out evenly among {ranks.world} ranks")
    piece = size // ranks.world
    return slice(batch.start + ranks.rank * piece, batch.start + (ranks.rank + 1) * piece)


def check_shares(config: PretrainConfig, count: int, ranks: Ranks) -> None:
    """Refuse what several ranks can't do, before anything is trained.

    Args:
        config: the settings.
        count: images of an epoch.
        ranks: who this process is.

    Raises:
        ConfigError: a batch is no multiple of the ranks, or a setting is for one process alone.
    """
    if ranks.is_alone:
        return
    size = config.batch_size
    if size % ranks.world:
        lower = size // ranks.world * ranks.world
        better = f"{lower} or {lower + ranks.world}" if lower else str(ranks.world)
        raise ConfigError("batch_size", f"{size} is no multiple of the {ranks.world} ranks; give {better}")
    if not config.drop_last and count % size % ranks.world:
        raise ConfigError(
            "drop_last",
            f"the short last batch of {count % size} images is no multiple of the {ranks.world} ranks; give "
            "--drop-last, or a batch size that leaves one",
        )
    if config.same_on_batch:
        raise ConfigError("same_on_batch", "a batch that is shared out has no first image; give --no-same-on-batch")
    if config.compile == "graph":
        raise ConfigError("compile", "graph is for one process; with several ranks give auto, no or yes")
    check_device_of_ranks(config.device, ranks)


def check_device_of_ranks(device: str, ranks: Ranks) -> None:
    """Refuse a setting that is one device where several ranks have one each.

    Raises:
        ConfigError: it is one.
    """
    if not ranks.is_alone and (device.startswith("cuda:") or device == "next"):
        raise ConfigError("device", f"{device} is one device; with several ranks give auto, cuda or cpu")
