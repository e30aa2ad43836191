"""The verbs of labels and of the trash, and their options."""

import argparse
from collections.abc import Sequence
from typing import Any

from simclr_tui.commands.verb_options import RUN_HELP, add_verb, owner_option, run_argument
from trainer.options import OptionParser
from trainer.store.labels import LONGEST_NOTE, LONGEST_TAG

_RUNS_HELP = f"{RUN_HELP}; several may be given"


class _TagParser(OptionParser):
    """Takes words with a plus or one minus as tags, wherever they stand; others with a minus are options."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """The namespace, with those words behind the plain ones in `tags`."""
        words = list(args or ())
        end = words.index("--") if "--" in words else len(words)
        taken = [word for word in words[:end] if _is_signed(word)] + words[end + 1 :]
        rest = [word for word in words[:end] if not _is_signed(word)]
        found, unknown = super().parse_known_args(rest, namespace)
        found.tags = [*found.tags, *taken]
        return found, unknown


def _is_signed(word: str) -> bool:
    return word.startswith("+") or (word.startswith("-") and not word.startswith("--") and word not in ("-", "-h"))


def add_labelling_verbs(verbs: Any) -> None:
    """Add them to the parsers of all verbs."""
    _tag_verb(verbs)
    usage = "simclr-tui note RUN [TEXT] [--owner USER] [--json]"
    note = add_verb(verbs, "note", "print or write a run's note", usage=usage)
    run_argument(note)
    owner_option(note)
    note.add_argument(
        "text", metavar="TEXT", nargs="?", help=f"at most {LONGEST_NOTE:,} characters; an empty one takes the note away"
    )
    usage = "simclr-tui rename RUN NAME [--owner USER] [--json]"
    rename = add_verb(verbs, "rename", "call a run something else", usage=usage)
    run_argument(rename)
    owner_option(rename)
    rename.add_argument("name", metavar="NAME", help="the new name")
    for name, text in {
        "pin": "show runs before all others",
        "unpin": "give runs their place among the others back",
        "archive": "leave runs out of lists that don't ask for them",
        "unarchive": "list runs again",
        "rm": "put runs that have ended into the trash, from which they can be taken out again",
        "restore": "take runs out of the trash, as they were",
    }.items():
        asks = name not in ("pin", "unpin")
        usage = f"simclr-tui {name} RUN … {'[--owner USER] ' if asks else ''}[--json]"
        parser = add_verb(verbs, name, text, usage=usage, takes_list=True)
        parser.add_argument("runs", metavar="RUN", nargs="+", help=_RUNS_HELP)
        if asks:
            owner_option(parser)
    _trash_verb(verbs)


def _tag_verb(verbs: Any) -> None:
    parsers = verbs._parser_class
    verbs._parser_class = _TagParser
    tag = add_verb(
        verbs,
        "tag",
        "add tags to a run, take some away, or print them",
        usage="simclr-tui tag RUN [TAG | +TAG | -TAG …] [--and RUN …] [--json]",
    )
    verbs._parser_class = parsers
    run_argument(tag)
    tag.add_argument(
        "tags",
        metavar="TAG",
        nargs="*",
        default=[],
        help=f"a word of at most {LONGEST_TAG} characters to add, with or without a plus; one with a minus is taken "
        "away (-h after --)",
    )
    tag.add_argument(
        "--and", dest="more", metavar="RUN", action="append", default=[], help="another run that is tagged alike"
    )


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days; give 0 or more")
    return days


def _trash_verb(verbs: Any) -> None:
    trash = add_verb(
        verbs,
        "trash",
        "list the runs in the trash with their sizes, or delete them for good",
        usage="simclr-tui trash [--empty [--older-than DAYS] [--owner USER] [--yes]] [--json]",
    )
    trash.add_argument("--empty", action="store_true", help="delete them for good, files and figures, after a question")
    trash.add_argument("--older-than", type=_days, metavar="DAYS", help="only those that came there so long ago")
    owner_option(trash)
    trash.add_argument("--yes", action="store_true", help="don't ask, as without a terminal")
