"""The command line of a trainer."""

from typing import TYPE_CHECKING

from trainer import supervise
from trainer.config import PretrainConfig
from trainer.mirror.names import add_mirror_options
from trainer.options import OptionParser, add_settings
from trainer.presets import preset_names
from trainer.versions import add_version

if TYPE_CHECKING:
    from argparse import _ArgumentGroup


def run_parser() -> OptionParser:
    """Which run, and with which settings."""
    parser = OptionParser(
        prog="python -m trainer.run",
        description="SimCLR pretraining and linear evaluation, with everything it does in the run store.",
        epilog="Exit codes: 0 finished or stopped on request, 1 failed, 2 wrong usage or settings, 70 hung and ended "
        "by its watchdog, 75 paused or could not start now, 130 and 143 ended by SIGINT and SIGTERM with everything "
        "saved.",
    )
    add_version(parser)
    run = parser.add_argument_group("Run")
    run.add_argument(
        "--requeue", action="store_true", help="let SIGUSR1 save and end with code 75, to be queued again, not go on"
    )
    run.add_argument("--queue", action="store_true", help="wait for the device behind other runs that wait for it")
    run.add_argument(
        "--restart",
        type=supervise.restart_count,
        metavar="N",
        help="start the run again after a crash or a hang, at most so often [default what is left of an earlier one]",
    )
    run.add_argument(
        "--exit-file",
        metavar="FILE",
        help="where the exit code is written in the end; torchrun itself tells 0 or 1 [default nowhere]",
    )
    add_mirror_options(run, default="what an earlier start was given")
    run.add_argument("--headless", action="store_true", help="show progress on this terminal")
    run.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    run.add_argument(
        "--preset",
        metavar=f"{{{','.join(preset_names())}}}",
        help="settings to begin with [default none: the tutorial's recipe]",
    )
    run.add_argument("--name", default="", metavar="NAME", help="what to call the run [default made from its settings]")
    _add_choice_of_run(run)
    add_settings(parser, PretrainConfig)
    return parser


def _add_choice_of_run(run: "_ArgumentGroup") -> None:
    which = run.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="go on with this run; it must exist")
    which.add_argument(
        "--resume-or-start", metavar="NAME", help="go on with this run if it exists, else start one of that name"
    )
    which.add_argument("--fork", metavar="RUN", help="make a child run that goes on from a checkpoint of this one")
    run.add_argument(
        "--step", type=int, default=0, metavar="N", help="of the checkpoint to fork from [default the newest]"
    )
    run.add_argument("--fresh-optimizer", action="store_true", help="fork with a new optimiser")
    run.add_argument(
        "--accept",
        metavar="SETTING",
        action="append",
        default=[],
        help="let this setting of a run that goes on change, although that changes its result; once for each",
    )
