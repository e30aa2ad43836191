"""The options of `ls`."""

import argparse

from simclr_tui.run_list.columns import COLUMNS
from trainer.options import OptionParser

USAGE = (
    "simclr-tui ls [--filter TEXT] [--sort COLUMN] [--reverse] [--columns A,B,C] [--group COLUMN] [--all] [--limit N] "
    "[--json]"
)


def listing_options(parser: OptionParser) -> None:
    """Add what says which runs are listed and how."""
    parser.add_argument(
        "--filter", metavar="TEXT", default="", help="only runs like state:running lr>1e-4 tag:baseline"
    )
    parser.add_argument(
        "--sort", metavar="COLUMN", help="best, newest or first in the alphabet first; [default newest first]"
    )
    parser.add_argument("--reverse", action="store_true", help="turn the order round")
    parser.add_argument("--columns", metavar="A,B,C", help=f"any settings, and {', '.join(COLUMNS)}")
    parser.add_argument("--group", metavar="COLUMN", help="put runs with the same value together")
    parser.add_argument("--all", action="store_true", help="archived runs and those in the trash too")
    parser.add_argument("--limit", type=_limit, metavar="N", help="only the first N runs of the list")


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; give 1 or more")
    return int(text)
