"""What the verbs of the command line have in common: how one is added, the runs folder, the run that it is about."""

import argparse
from collections.abc import Sequence
from typing import Any

from trainer.options import OptionParser

RUN_HELP = "id, beginning of the id, or name"


class InterleavedParser(OptionParser):
    """Takes options between the words of a list too, as in `compare A --out FILE B`, which argparse alone refuses."""

    _is_inside = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As `ArgumentParser.parse_known_intermixed_args`, which calls this for each of its two passes."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


def add_verb(
    verbs: Any, name: str, help_text: str, *, usage: str, json: bool = True, takes_list: bool = False
) -> OptionParser:
    """Add a verb and return its parser.

    Args:
        verbs: the parsers of all verbs.
        name: of the verb.
        help_text: what it does, beginning with a small letter.
        usage: how it is written.
        json: whether it can print one JSON document.
        takes_list: whether it takes as many names as are given, with options anywhere between them.
    """
    parsers = verbs._parser_class
    verbs._parser_class = InterleavedParser if takes_list else parsers
    parser: OptionParser = verbs.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", usage=usage
    )
    verbs._parser_class = parsers
    runs_dir_option(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document for scripts")
    return parser


def verbs_of(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[OptionParser]":
    """All verbs of the command line: their parsers are its `choices`, by name."""
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return verbs


def runs_dir_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the runs folder."""
    parser.add_argument(
        "--runs-dir", metavar="DIR", default=argparse.SUPPRESS, help="runs folder [default $SIMCLR_TUI_RUNS, else runs]"
    )


def owner_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says that another person's run is meant."""
    parser.add_argument("--owner", metavar="USER", help="whose run it is, where it is another person's")


def run_argument(parser: argparse.ArgumentParser, **options: Any) -> None:
    """Add the run that a verb is about; `options` are those of `add_argument`."""
    parser.add_argument("run", **{"metavar": "RUN", "help": RUN_HELP, **options})
