"""The ranks of a run in what commands print."""

from simclr_tui.commands.output import columns, section
from simclr_tui.run.ranks import HEADING, RIGHT, RanksLook, look_at_ranks, rank_rows, straggler_words
from trainer.store.rank_samples import rank_samples
from trainer.store.reader import StoreReader
from trainer.straggler import WINDOW_SECONDS


def read_ranks(reader: StoreReader, run_id: str) -> RanksLook:
    """The ranks of a run in the last two minutes of which anything is known; none where one process trains it."""
    return look_at_ranks(rank_samples(reader, run_id, seconds=WINDOW_SECONDS))


def say_ranks(look: RanksLook) -> None:
    """Print a line for each rank, and whom the others wait for; nothing where there are none."""
    if not look.ranks:
        return
    words = straggler_words(look)
    table = columns(HEADING, rank_rows(look), right=RIGHT).splitlines()
    section(f"{len(look.ranks)} ranks, the last two minutes", [*table, *([words] if words else [])])
