"""`python -m trainer.preview`: the views that a run's recipe makes, as a picture and in the terminal.

Which views they are is told in `view_sheet`, which is imported late, since torch takes seconds and a wrong word should
be answered at once.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainer.config import PretrainConfig
from trainer.entry import answer
from trainer.errors import ExitCode, UsageError
from trainer.options import given, show
from trainer.paths import check_runs_dir, runs_dir
from trainer.presets import chosen_config
from trainer.preview_options import DEFAULT_FILE, VIEWS, preview_parser
from trainer.store.reader import StoreReader

if TYPE_CHECKING:
    from trainer.view_sheet import Preview

_KINDS = ("pretrain", "supervised")
"""The kinds of run whose settings hold an augmentation."""


def recipe_words(config: PretrainConfig) -> str:
    """The augmentation's steps in their order, with how strong each is; a step that never happens is left out."""
    changes = {
        "brightness": config.jitter_brightness,
        "contrast": config.jitter_contrast,
        "saturation": config.jitter_saturation,
        "hue": config.jitter_hue,
    }
    colours = ", ".join(f"{name} ±{show(spread)}" for name, spread in changes.items() if spread)
    sigmas = f"sigma {show(config.blur_sigma_min)}–{show(config.blur_sigma_max)}"
    steps = {
        f"flip {show(config.flip_probability)}": config.flip_probability,
        f"jitter {show(config.jitter_probability)} ({colours})": config.jitter_probability if colours else 0,
        f"grayscale {show(config.grayscale_probability)}": config.grayscale_probability,
        f"blur {show(config.blur_probability)} ({config.blur_kernel_size} px, {sigmas})": config.blur_probability,
    }
    crop = f"crop {show(config.crop_scale_min)}–{show(config.crop_scale_max)} of the area"
    same = ["the same draws for all images of a batch"] if config.same_on_batch else []
    return "; ".join([crop, *(words for words, probability in steps.items() if probability), *same])


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the preview that a command line asks for; its exit code (see trainer.errors)."""

    def work() -> int:
        _preview(preview_parser().parse_args(arguments))
        return ExitCode.FINISHED

    return answer(work)


def _preview(options: argparse.Namespace) -> None:
    config = _config(options)
    columns = options.columns or max(VIEWS, config.views)
    in_terminal = sys.stdout.isatty() and not options.no_show
    out: Path | None = options.out or (None if in_terminal else DEFAULT_FILE)
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"--out: there is no folder {out.absolute().parent}; make it, or name a file in another one")
    from trainer.view_sheet import make_preview

    preview = make_preview(config, options.images, columns, _warn)
    if in_terminal:
        _draw(preview, Console(highlight=False))
    if out is not None:
        _write(preview, out)
    count = len(preview.images_BCHW)
    images = f"{count} image{'s' * (count > 1)} of {config.dataset} ({preview.split}), views by {config.augment}"
    print(f"{images}: {recipe_words(config)}")  # noqa: T201
    if out is not None:
        print(f"written to {out.absolute()}")  # noqa: T201


def _config(options: argparse.Namespace) -> PretrainConfig:
    """The settings of the run or the preset that is named, with the changes that the command line makes."""
    changes = given(options, PretrainConfig)
    if not options.run:
        return chosen_config(options.preset, changes)
    if options.preset:
        raise UsageError("--run: a run has its own settings; leave --preset out")
    runs = runs_dir(options.runs_dir)
    check_runs_dir(runs)
    with closing(StoreReader.open(runs)) as store:
        run = store.find(options.run)
    if run.kind not in _KINDS:
        raise UsageError(f"--run: {run.name} is of kind {run.kind} and makes no views; name a run that trains")
    return dataclasses.replace(PretrainConfig.from_json(run.config), **changes)


def _draw(preview: "Preview", console: Console) -> None:
    """Show the sheet in the terminal, as large as its width allows."""
    from trainer.pictures import half_blocks

    columns = 1 + len(preview.headings)
    width = max(2, min((console.width - columns + 1) // columns, preview.images_BCHW.shape[-1]))
    grid = Table.grid(padding=(0, 1))
    for _ in range(columns):
        grid.add_column(width=width)
    headings = ["image", *(str(number) for number in range(1, columns))]
    grid.add_row(*(Text(heading, justify="center", no_wrap=True, overflow="crop") for heading in headings))
    for row in preview.rows:
        grid.add_row(*(half_blocks(image, width, console=console) for image in row))
        grid.add_row()
    console.print(grid)


def _write(preview: "Preview", path: Path) -> None:
    from trainer.pictures import save_png

    try:
        save_png(preview.sheet(), path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"--out: {path} can't be written ({reason}); name a file that you can write") from error


def _warn(_kind: str, sentence: str) -> None:
    print(f"simclr-tui: {sentence}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)  # at once: a download that was left goes on in a thread that the interpreter would wait for
