"""The options of `log`, `system` and `query`, apart from what they do, so that no other command line waits for that."""

from typing import Any

from simclr_tui.commands.verb_options import add_verb, run_argument

_LINES = 50
_SECONDS = 60.0


def add_looking_verbs(verbs: Any) -> None:
    """Add the verbs to the parsers of all verbs."""
    log = add_verb(
        verbs,
        "log",
        "print the end of what a run's trainers said",
        usage="simclr-tui log RUN [--lines N] [--grep TEXT] [--follow | --json]",
    )
    run_argument(log)
    log.add_argument("--lines", type=int, default=_LINES, metavar="N", help="of the last lines [default %(default)s]")
    log.add_argument(
        "--grep", default="", metavar="TEXT", help="only lines with this text; capitals count if it has some"
    )
    log.add_argument("--follow", action="store_true", help="go on with lines that are added, until Ctrl-C")
    system = add_verb(
        verbs,
        "system",
        "show the machine, its GPUs and who computes on them, and the processes of a run",
        usage="simclr-tui system [RUN] [--json]",
    )
    run_argument(system, nargs="?")
    query = add_verb(
        verbs,
        "query",
        "ask the store in SQL, to read only, or list its tables",
        usage="simclr-tui query [SQL] [--seconds N] [--csv | --json]",
    )
    query.add_argument(
        "statement", metavar="SQL", nargs="?", help="a SELECT, - for what stdin has; without it the tables are listed"
    )
    query.add_argument(
        "--seconds", type=float, default=_SECONDS, metavar="N", help="end it after so many [default %(default)g]"
    )
    query.add_argument("--csv", action="store_true", help="print comma-separated values for scripts")
