"""What the verbs of the command line have in common: how one is added, the runs folder, the run that it is about."""

import argparse
from typing import Any

from trainer.options import OptionParser

RUN_HELP = "id, beginning of the id, or name"


def add_verb(verbs: Any, name: str, help_text: str, *, usage: str, json: bool = True) -> OptionParser:
    """Add a verb and return its parser.

    Args:
        verbs: the parsers of all verbs.
        name: of the verb.
        help_text: what it does, beginning with a small letter.
        usage: how it is written.
        json: whether it can print one JSON document.
    """
    parser: OptionParser = verbs.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", usage=usage
    )
    runs_dir_option(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document for scripts")
    return parser


def runs_dir_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the runs folder."""
    parser.add_argument(
        "--runs-dir", metavar="DIR", default=argparse.SUPPRESS, help="runs folder [default $SIMCLR_TUI_RUNS, else runs]"
    )


def run_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add the run that a verb is about; `options` are those of `add_argument`."""
    parser.add_argument("run", **{"metavar": "RUN", "help": RUN_HELP, **options})
