"""The command line: verbs and their options, the settings made from the config's own fields."""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.options import OptionParser, add_settings
from trainer.presets import preset_names
from trainer.settings import fields_of

WAIT_SECONDS = 600.0
"""How long pause and stop wait for the run to end, unless told otherwise."""

_EPILOG = (
    "Without a verb the dashboard opens. A run is named by its id, the beginning of its id, or its name (the newest "
    "of that name). Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 75 not now (try again), 130 and 143 ended "
    "by SIGINT and SIGTERM."
)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The namespace of a command line; ends the process with code 2 where it is wrong."""
    return _parser().parse_args(arguments)


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="simclr-tui",
        usage="simclr-tui [--runs-dir DIR] [VERB …]",
        description="Launch, watch, pause, resume and compare SimCLR pretraining runs in the terminal.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"simclr-tui {version('simclr-tui')}")
    _runs_dir(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="Verbs")
    _starting_verbs(verbs)
    _reading_verbs(verbs)
    _ending_verbs(verbs)
    return parser


def _verb(verbs: Any, name: str, help_text: str, *, usage: str, json: bool = True) -> OptionParser:
    parser: OptionParser = verbs.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", usage=usage
    )
    _runs_dir(parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON document for scripts")
    return parser


def _runs_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs-dir", metavar="DIR", default=argparse.SUPPRESS, help="runs folder [default $SIMCLR_TUI_RUNS, else runs]"
    )


def _run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id, beginning of the id, or name")


def _starting_verbs(verbs: Any) -> None:
    demo = _verb(
        verbs,
        "demo",
        "run the demo: two minutes on drawn shapes, with no data and no GPU",
        usage="simclr-tui demo [--name NAME] [any setting]",
        json=False,
    )
    demo.add_argument("--name", default="", help="what to call the run")
    add_settings(demo, PretrainConfig)
    launch = _verb(
        verbs,
        "launch",
        "make a pretraining run and start it in the background",
        usage="simclr-tui launch [--preset PRESET] [--name NAME] [any setting]",
    )
    launch.add_argument("--preset", choices=preset_names(), help=f"recipe: {', '.join(preset_names())}")
    launch.add_argument("--name", default="", help="what to call the run")
    add_settings(launch, PretrainConfig)
    resume = _verb(
        verbs,
        "resume",
        "go on with a run from its newest checkpoint, in the background",
        usage="simclr-tui resume RUN [any setting that can't change the result]",
    )
    _run_argument(resume)
    add_settings(resume, PretrainConfig)
    _hide(resume, [field.name for field in fields_of(PretrainConfig) if field.setting.results])
    evaluate = _verb(
        verbs,
        "evaluate",
        "look at a checkpoint of a run in one of five ways (--what), in the background",
        usage="simclr-tui evaluate RUN [any setting]",
    )
    # Named differently in the namespace: EvaluateConfig has a setting `run` of its own.
    evaluate.add_argument("source", metavar="RUN", help="id, beginning of the id, or name")
    add_settings(evaluate, EvaluateConfig, leave_out=("run",))


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
    _verb(verbs, "ls", "list the runs, the newest first", usage="simclr-tui ls [--json]")
    show = _verb(
        verbs, "show", "show a run: settings, progress, figures, last events", usage="simclr-tui show RUN [--json]"
    )
    _run_argument(show)
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
        parser = _verb(verbs, name, text, usage=f"simclr-tui {name} RUN [--no-wait] [--timeout SECONDS] [--json]")
        _run_argument(parser)
        parser.add_argument("--no-wait", action="store_true", help="return at once instead of when the run has ended")
        parser.add_argument(
            "--timeout",
            type=float,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help="exit with 75 if the run has not ended by then [default %(default)g]",
        )
