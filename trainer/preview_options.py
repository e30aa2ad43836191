"""The command line of a preview."""

from collections.abc import Callable
from pathlib import Path

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.options import OptionParser, add_settings
from trainer.paths import typed_path
from trainer.presets import preset_names

DEFAULT_FILE = Path("views.png")
IMAGES, MOST_IMAGES = 8, 100
VIEWS, MOST_VIEWS = 6, 12


def preview_parser() -> OptionParser:
    """The options of a preview."""
    parser = OptionParser(
        prog="python -m trainer.preview",
        description="The views that a recipe makes of the first images that it trains on: in the terminal, and as a "
        "PNG file.",
        epilog="The views are those of training: as many of each epoch as --views says, from epoch 1 on.",
    )
    what = parser.add_argument_group("Preview")
    what.add_argument(
        "--images",
        type=_count("--images", MOST_IMAGES),
        default=IMAGES,
        metavar="N",
        help=f"how many images [1 to {MOST_IMAGES}; default {IMAGES}]",
    )
    what.add_argument(
        "--columns",
        type=_count("--columns", MOST_VIEWS),
        default=0,
        metavar="N",
        help=f"how many views of each [1 to {MOST_VIEWS}; default {VIEWS}, or --views where that is more]",
    )
    what.add_argument(
        "--out",
        type=_png,
        metavar="FILE",
        help=f"write a PNG file [default none where a terminal shows them, else {DEFAULT_FILE}]",
    )
    what.add_argument("--no-show", action="store_true", help="draw nothing in the terminal")
    whose = parser.add_argument_group("Recipe")
    whose.add_argument("--preset", metavar=f"{{{','.join(preset_names())}}}", help="settings to begin with")
    whose.add_argument("--run", metavar="ID", help="begin with the settings of this run")
    whose.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    add_settings(parser, PretrainConfig)
    return parser


def _count(option: str, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise UsageError(f"{option}: {text!r} can't be shown; give a whole number from 1 to {most}")
        return int(text)

    return parse


def _png(text: str) -> Path:
    path = typed_path(text)
    if path.suffix.lower() != ".png":
        raise UsageError(f"--out: {text} does not end in .png; give a name that does")
    return path
