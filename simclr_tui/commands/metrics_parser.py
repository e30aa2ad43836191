"""The options of `metrics`, apart from what it does, so that no other command line waits for that."""

from typing import Any

from simclr_tui.charts.ids import AXES
from simclr_tui.commands.verb_options import add_verb, run_argument

POINTS = 100


def add_metrics_verb(verbs: Any) -> None:
    """Add the verb to the parsers of all verbs."""
    metrics = add_verb(
        verbs,
        "metrics",
        "list the series of a run, or print and draw the values of some",
        usage="simclr-tui metrics RUN [NAME …] [--x AXIS] [--points N] [--smooth SPAN] [--csv | --json]",
        takes_list=True,
    )
    run_argument(metrics)
    metrics.add_argument("names", metavar="NAME", nargs="*", default=[], help="of series; without any they are listed")
    metrics.add_argument(
        "--x", choices=AXES, default="step", help="what values are over; both times in seconds [default %(default)s]"
    )
    metrics.add_argument(
        "--points",
        type=int,
        default=POINTS,
        metavar="N",
        help="so many at most, each with its lowest and highest value; 0 for all of them [default %(default)s]",
    )
    metrics.add_argument(
        "--smooth",
        type=float,
        default=0.0,
        metavar="SPAN",
        help="also the moving average over that part of x, 0 to 1 [default %(default)g]",
    )
    metrics.add_argument("--csv", action="store_true", help="print comma-separated values for scripts")
