"""The command line: verbs and their options, the settings made from the config's own fields."""

import argparse
from collections.abc import Sequence
from typing import Any

from simclr_tui.commands.anatomy import NEWEST
from simclr_tui.commands.comfort_parser import add_comfort_verbs
from simclr_tui.commands.comparing_parser import add_compare_verb
from simclr_tui.commands.exporting_parser import add_exporting_verbs
from simclr_tui.commands.labelling_parser import add_labelling_verbs
from simclr_tui.commands.listing_parser import USAGE, listing_options
from simclr_tui.commands.looking import add_looking_verbs
from simclr_tui.commands.metrics_parser import add_metrics_verb
from simclr_tui.commands.queueing_parser import add_queueing_verbs
from simclr_tui.commands.serving_parser import add_serve_verb
from simclr_tui.commands.slurm_options import add_slurm_options
from simclr_tui.commands.verb_help import VerbFormatter
from simclr_tui.commands.verb_options import add_verb, owner_option, run_argument, runs_dir_option
from trainer.benchmark_config import BenchmarkConfig
from trainer.changes import RULES, Way
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.mirror.names import add_mirror_options
from trainer.options import OptionParser, add_settings
from trainer.presets import preset_names
from trainer.settings import fields_of
from trainer.supervise import restart_count
from trainer.versions import add_version

_ENDING_USAGE = "[--owner USER] [--no-wait] [--timeout SECONDS] [--json]"

WAIT_SECONDS = 600.0
"""How long pause and stop wait for the run to end, unless told otherwise."""

_EPILOG = (
    "Without a verb the dashboard opens. A run is named by its id, the beginning of its id, or its name (the newest "
    "of that name). Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 75 not now (try again), 130 and 143 ended "
    "by SIGINT and SIGTERM."
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The namespace of a command line; ends the process with code 2 where it is wrong."""
    return command_parser().parse_args(arguments)


def command_parser() -> OptionParser:
    """Every verb and its options."""
    parser = OptionParser(
        prog="simclr-tui",
        usage="simclr-tui [--runs-dir DIR] [--watch | VERB …]",
        description="Launch, watch, pause, resume and compare SimCLR pretraining runs in the terminal.",
        epilog=_EPILOG,
        formatter_class=VerbFormatter,
    )
    parser.add_argument("--watch", action="store_true", help="print what goes on in a line, for a status bar")
    add_version(parser)
    runs_dir_option(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="Verbs")
    _starting_verbs(verbs)
    _reading_verbs(verbs)
    add_compare_verb(verbs)
    _ending_verbs(verbs)
    add_queueing_verbs(verbs)
    add_labelling_verbs(verbs)
    add_exporting_verbs(verbs)
    _doctor_verb(verbs)
    add_comfort_verbs(verbs)
    add_serve_verb(verbs)
    return parser


def _queue_and_restart(parser: argparse.ArgumentParser, *, default: str = "never") -> None:
    parser.add_argument("--queue", action="store_true", help="wait for the device behind other runs that wait for it")
    parser.add_argument(
        "--restart",
        type=restart_count,
        metavar="N",
        help=f"start it again after a crash or a hang, at most so often [default {default}]",
    )


def _starting_verbs(verbs: Any) -> None:
    demo = add_verb(
        verbs,
        "demo",
        "run the demo: two minutes on drawn shapes, with no data and no GPU",
        usage="simclr-tui demo [--name NAME] [--mirror LOGGER,…] [any setting]",
        json=False,
    )
    demo.add_argument("--name", default="", help="what to call the run")
    add_mirror_options(demo)
    add_settings(demo, PretrainConfig)
    launch = add_verb(
        verbs,
        "launch",
        "make a pretraining run and start it in the background",
        usage="simclr-tui launch [--preset PRESET] [--name NAME] [--queue] [--restart N] [--sweep NAME=V1,V2 …] "
        "[--mirror LOGGER,…] [--dry-run] [--slurm [--slurm-time TIME] …] [any setting]",
    )
    launch.add_argument("--preset", choices=preset_names(), help=f"recipe: {', '.join(preset_names())}")
    launch.add_argument("--name", default="", help="what to call the run")
    _queue_and_restart(launch)
    add_mirror_options(launch)
    launch.add_argument(
        "--sweep",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME=V1,V2",
        help="one or two settings with values, such as lr=1e-3,3e-4 seed=1..3: a run of each combination, in line",
    )
    launch.add_argument("--dry-run", action="store_true", help="say what would be made and what it takes; make nothing")
    add_slurm_options(launch)
    add_settings(launch, PretrainConfig)
    _resuming_verb(verbs)
    _forking_verb(verbs)
    evaluate = add_verb(
        verbs,
        "evaluate",
        "look at a checkpoint of a run in one of five ways (--what), in the background",
        usage="simclr-tui evaluate RUN [any setting]",
    )
    # Named differently in the namespace: EvaluateConfig has a setting `run` of its own.
    evaluate.add_argument("source", metavar="RUN", help="id, beginning of the id, or name")
    add_settings(evaluate, EvaluateConfig, leave_out=("run",))
    _benchmark_verb(verbs)


def _benchmark_verb(verbs: Any) -> None:
    benchmark = add_verb(
        verbs,
        "benchmark",
        "measure settings against each other and say which are the fastest, or show what one found",
        usage="simclr-tui benchmark {[--of RUN | --base PRESET] [--preset notes | --vary NAME=V1,V2 …] [--name NAME] "
        "[--no-wait | --queue] [any setting] | BENCH [--apply RUN [--owner USER]]}",
    )
    benchmark.add_argument("run", metavar="BENCH", nargs="?", help="a benchmark that there is; without it one is made")
    benchmark.add_argument(
        "--apply",
        metavar="RUN",
        help="give this run the fastest settings that can't change its result; a running one is paused and goes on",
    )
    owner_option(benchmark)
    benchmark.add_argument("--of", metavar="RUN", default="", help="a run whose settings are the current ones")
    benchmark.add_argument(
        "--base", dest="base_preset", choices=preset_names(), help="a recipe whose settings are the current ones"
    )
    benchmark.add_argument("--name", default="", help="what to call the benchmark")
    benchmark.add_argument("--no-wait", action="store_true", help="return at once; it runs in the background anyway")
    benchmark.add_argument("--queue", action="store_true", help="wait for the device behind others that wait for it")
    benchmark.add_argument(
        "--vary",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME=V1,V2",
        help="settings with the values to try, every combination of which is a trial; without it the usual ones",
    )
    add_settings(benchmark, BenchmarkConfig, leave_out=("base", "of", "vary"))
    add_settings(benchmark, PretrainConfig, leave_out=("device", "threads"))


def _resuming_verb(verbs: Any) -> None:
    resume = add_verb(
        verbs,
        "resume",
        "go on with a run from its newest checkpoint, in the background",
        usage="simclr-tui resume {RUN [--owner USER] [--queue | --slurm …] [--restart N] [--mirror LOGGER,…] "
        "[any setting that can't change the result] [--accept SETTING …] | --all}",
    )
    run_argument(resume, nargs="?")
    owner_option(resume)
    resume.add_argument(
        "--all", action="store_true", help="every run that was interrupted, those in line in their order"
    )
    _queue_and_restart(resume, default="what is left of an earlier --restart")
    add_mirror_options(resume, default="what an earlier start was given")
    resume.add_argument(
        "--accept",
        metavar="SETTING",
        action="append",
        default=[],
        help="let this setting change although that changes the result; give its new value too, once for each",
    )
    add_slurm_options(resume)
    add_settings(resume, PretrainConfig)
    _hide(resume, [field.name for field in fields_of(PretrainConfig) if field.setting.results])


def _forking_verb(verbs: Any) -> None:
    fork = add_verb(
        verbs,
        "fork",
        "make a child run that goes on from a checkpoint of a run with other settings, and start it",
        usage="simclr-tui fork RUN [--step N] [--name NAME] [--no-start | --queue] [--restart N] [--mirror LOGGER,…] "
        "[any setting]",
    )
    run_argument(fork)
    fork.add_argument(
        "--step", type=int, default=0, metavar="N", help="of the checkpoint to begin from [default the newest]"
    )
    fork.add_argument("--name", default="", help="what to call the child [default made from the run's name]")
    _queue_and_restart(fork)
    add_mirror_options(fork)
    fork.add_argument("--no-start", action="store_true", help="make it and leave it queued")
    fork.add_argument(
        "--fresh-optimizer", action="store_true", help="begin with a new optimiser, which another --optimizer needs"
    )
    add_settings(fork, PretrainConfig)
    _hide(fork, [name for name, rule in RULES.items() if rule.way is Way.NEVER])


class _HandedOn(OptionParser):
    """Takes every word as it is: another program parses them, and has a help of its own."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """All words in `words`."""
        found = namespace or argparse.Namespace()
        found.words = list(args or ())
        return found, []


def _reading_verbs(verbs: Any) -> None:
    listing_options(add_verb(verbs, "ls", "list the runs, pinned ones and the newest first", usage=USAGE))
    show = add_verb(
        verbs,
        "show",
        "show a run: settings, progress, figures, last events",
        usage="simclr-tui show RUN [--epoch [N] | --replay STEP] [--json]",
    )
    run_argument(show)
    once = show.add_mutually_exclusive_group()
    once.add_argument(
        "--epoch",
        type=int,
        nargs="?",
        const=NEWEST,
        metavar="N",
        help="show where the seconds of that epoch went, or of the newest one",
    )
    once.add_argument(
        "--replay",
        type=int,
        metavar="STEP",
        help="take that step once more and show its figures, layers and gradients; nothing is stored",
    )
    checkpoints = add_verb(
        verbs,
        "checkpoints",
        "list a run's checkpoints: why each is kept and whether its bytes are right",
        usage="simclr-tui checkpoints RUN [--verify] [--pin STEP] [--unpin STEP] [--owner USER] [--json]",
    )
    run_argument(checkpoints)
    owner_option(checkpoints)
    checkpoints.add_argument("--verify", action="store_true", help="read them all and compare their SHA-256")
    checkpoints.add_argument("--pin", type=int, metavar="STEP", help="keep the checkpoint of that step for good")
    checkpoints.add_argument("--unpin", type=int, metavar="STEP", help="let it go when newer ones are kept")
    add_looking_verbs(verbs)
    add_metrics_verb(verbs)
    help_text = "show the views that a recipe or a run makes of its images, in the terminal and as a picture"
    usage = "simclr-tui preview [--preset PRESET | --run RUN] [--images N] [--out FILE] [any setting]"
    parsers = verbs._parser_class
    verbs._parser_class = _HandedOn
    verbs.add_parser("preview", help=help_text, usage=usage, add_help=False)
    verbs._parser_class = parsers


def _hide(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Leave settings out of the help. They are still parsed, so that what is wrong with them can be said."""
    for action in parser._actions:
        if action.dest in names:
            action.help = argparse.SUPPRESS


def _ending_verbs(verbs: Any) -> None:
    texts = {
        "pause": "pause a run: it saves a checkpoint, ends and frees the device",
        "stop": "stop a run for good: it saves a checkpoint and is resumed only by name",
    }
    for name, text in texts.items():
        parser = add_verb(verbs, name, text, usage=f"simclr-tui {name} RUN {_ENDING_USAGE}")
        run_argument(parser)
        owner_option(parser)
        parser.add_argument("--no-wait", action="store_true", help="return at once instead of when the run has ended")
        parser.add_argument(
            "--timeout",
            type=float,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help="exit with 75 if the run has not ended by then [default %(default)g]",
        )


def _doctor_verb(verbs: Any) -> None:
    doctor = add_verb(
        verbs,
        "doctor",
        "look at the machine, the runs folder, the store and the checkpoints, and say what to do",
        usage="simclr-tui doctor [--quick | --all-checkpoints | --rebuild | --restore | --torture] [--json]",
    )
    what = doctor.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="read no checkpoint, and look at the store less closely")
    what.add_argument("--all-checkpoints", action="store_true", help="read every checkpoint, however many there are")
    what.add_argument(
        "--rebuild",
        action="store_true",
        help="add runs and checkpoints that the store lacks, in a new store where it is damaged or lost",
    )
    what.add_argument(
        "--restore", action="store_true", help="put the newest backup in the place of a damaged or lost store"
    )
    what.add_argument(
        "--torture", action="store_true", help="kill and resume a tiny run on this machine, and compare it bit for bit"
    )
    doctor.add_argument("--kills", type=int, metavar="N", help="how often --torture kills it [default 5]")
    doctor.add_argument("--device", metavar="DEVICE", help="what --torture trains on [default auto]")
    doctor.add_argument("--keep", action="store_true", help="keep the folder of --torture")
