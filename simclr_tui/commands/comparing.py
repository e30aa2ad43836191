"""`compare`: runs side by side, on the terminal or in a file."""

import argparse
import shutil
import sys
from pathlib import Path

from simclr_tui.comfort.user_settings import read_price
from simclr_tui.commands.comparing_parser import FORMATS
from simclr_tui.commands.output import open_reader, say
from simclr_tui.compare.build import compare
from simclr_tui.compare.export import text
from simclr_tui.compare.formats import WRITERS
from simclr_tui.compare.reader import read_sides
from simclr_tui.compare.side import Side, refusal
from simclr_tui.compare.table import Comparison
from trainer.errors import ExitCode, UsageError
from trainer.store.reader import StoreReader

PICTURES = ("svg", "png")


def compare_runs(options: argparse.Namespace, runs: Path) -> int:
    """Print or write the comparison of some runs.

    Raises:
        UsageError: a run is unknown, can't be compared or stands there twice, the format and the file don't fit, or the
            file can't be written.
    """
    format_ = _format(options)
    with open_reader(runs) as reader:
        sides = _sides(reader, options)
    comparison = compare(sides, sides[0].run.id, price=read_price())
    if options.out is None:
        say(_written(comparison, format_, options.all_settings, _terminal_width()).rstrip("\n"))
        return ExitCode.FINISHED
    out = Path(options.out)
    try:
        _write(sides, comparison, out, format_, unfolded=options.all_settings)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"--out: {out} can't be written ({reason}); name a file that you can write") from error
    say(f"{out.resolve()} compares {', '.join(one.name for one in comparison.headings)}")
    return ExitCode.FINISHED


def _write(sides: list[Side], comparison: Comparison, out: Path, format_: str, *, unfolded: bool) -> None:
    if format_ in PICTURES:
        from simclr_tui.compare.picture import draw

        draw(sides, comparison, out, unfolded=unfolded)
    else:
        from trainer.durable import write_durably

        write_durably(out, _written(comparison, format_, unfolded).encode())


def _format(options: argparse.Namespace) -> str:
    """The format that was named, or that the file's ending says."""
    ending = Path(options.out).suffix.removeprefix(".").lower() if options.out else ""
    named = "json" if options.json else options.format
    if options.json and options.format not in (None, "json"):
        raise UsageError(f"--json and --format {options.format} are two formats; give one of them")
    if named is None:
        named = {"": "text", "txt": "text", "markdown": "md"}.get(ending, ending)
    if named not in FORMATS:
        raise UsageError(
            f"--out {options.out}: no format has this ending; choose {', '.join(FORMATS)}, or give --format"
        )
    if named in PICTURES and ending != named:
        raise UsageError(f"--format {named} is a picture; name its file, as in --out comparison.{named}")
    return str(named)


def _sides(reader: StoreReader, options: argparse.Namespace) -> list[Side]:
    """What was read of the runs, the reference first."""
    found = [reader.find(name) for name in options.runs]
    sentence = refusal(found)
    if sentence:
        raise UsageError(f"compare: {sentence}")
    if options.reference is not None:
        reference = reader.find(options.reference)
        if reference.id not in {run.id for run in found}:
            raise UsageError(f"--reference: {reference.name} is not among the runs that are compared; name one of them")
        found.sort(key=lambda run: run.id != reference.id)
    return read_sides(reader, found)


def _written(comparison: Comparison, format_: str, unfolded: bool, width: int | None = None) -> str:
    if format_ in WRITERS:
        return WRITERS[format_](comparison, unfolded)
    return text(comparison, width, unfolded=unfolded) + "\n"


def _terminal_width() -> int | None:
    """Cells of a line of the terminal; None where it goes into a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
