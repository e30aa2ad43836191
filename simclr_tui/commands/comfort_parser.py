"""The options of `watch`, `settings`, `notify` and `completion`."""

import argparse
from typing import Any

from simclr_tui.commands.verb_options import RUN_HELP, add_verb, run_argument
from simclr_tui.commands.watching import DEFAULT_FORMAT, FIELDS

SHELLS = ("bash", "zsh", "fish", "tcsh")

SECONDS = 2.0
"""Between two lines of `watch`, unless told otherwise."""


def add_comfort_verbs(verbs: Any) -> None:
    """Add them to the parsers of all verbs."""
    watch = add_verb(
        verbs,
        "watch",
        "print what goes on in a line, again and again until the run has ended",
        usage="simclr-tui watch [RUN] [--once] [--format TEXT] [--interval SECONDS]",
        json=False,
    )
    run_argument(watch, nargs="?", help=f"{RUN_HELP} [default what is live]")
    watch.add_argument("--once", action="store_true", help="print it once; `simclr-tui --watch` does that fastest")
    names = ", ".join(f"{{{name}}}" for name in FIELDS)
    watch.add_argument(
        "--format",
        metavar="TEXT",
        default=DEFAULT_FORMAT,
        help=f"the line, with {names} for what they name",
    )
    watch.add_argument("--interval", type=_interval, metavar="SECONDS", default=SECONDS, help="[default %(default)g]")
    settings = add_verb(
        verbs,
        "settings",
        "show your settings file: where it is, what holds and where that is from",
        usage="simclr-tui settings [--init | --schema | --keys] [--json]",
    )
    what = settings.add_mutually_exclusive_group()
    what.add_argument("--init", action="store_true", help="write one in which everything is commented out")
    what.add_argument("--schema", action="store_true", help="print its JSON Schema, for editors that check TOML")
    what.add_argument("--keys", action="store_true", help="list every action with its name and its keys")
    notify = add_verb(
        verbs,
        "notify",
        "show where trainers tell what becomes of runs (webhook, e-mail, chat), and try it",
        usage="simclr-tui notify [--test | --init] [--json]",
    )
    what = notify.add_mutually_exclusive_group()
    what.add_argument("--test", action="store_true", help="send one to every address, and say whether it was taken")
    what.add_argument("--init", action="store_true", help="write a file that only you may read, with examples in it")
    shells = f"{{{','.join(SHELLS)}}}"
    completion = add_verb(
        verbs,
        "completion",
        "print the script that completes verbs, options and the names of runs in a shell",
        usage=f"simclr-tui completion {shells}",
        json=False,
    )
    completion.add_argument("shell", choices=SHELLS, metavar=shells, help="whose script it is")


def _interval(text: str) -> float:
    """Seconds between two looks."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return seconds
