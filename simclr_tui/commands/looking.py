"""The options of `log` and `system`, apart from what they do, so that no other command line waits for that."""

from collections.abc import Callable
from typing import Any

from trainer.options import OptionParser

_LINES = 50


def add_looking_verbs(verbs: Any, add: Callable[..., OptionParser]) -> None:
    """Add both verbs.

    Args:
        verbs: the parsers of all verbs.
        add: makes a parser of one, from its name, its help and its usage.
    """
    log = add(
        verbs,
        "log",
        "print the end of what a run's trainers said",
        usage="simclr-tui log RUN [--lines N] [--grep TEXT] [--follow | --json]",
    )
    log.add_argument("run", metavar="RUN", help="id, beginning of the id, or name")
    log.add_argument("--lines", type=int, default=_LINES, metavar="N", help="of the last lines [default %(default)s]")
    log.add_argument(
        "--grep", default="", metavar="TEXT", help="only lines with this text; capitals count if it has some"
    )
    log.add_argument("--follow", action="store_true", help="go on with lines that are added, until Ctrl-C")
    system = add(
        verbs,
        "system",
        "show the machine, its GPUs and who computes on them, and the processes of a run",
        usage="simclr-tui system [RUN] [--json]",
    )
    system.add_argument("run", metavar="RUN", nargs="?", help="id, beginning of the id, or name")
