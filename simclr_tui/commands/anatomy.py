"""`show --epoch`: where the seconds of an epoch went."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import columns, open_reader, say, say_json, section
from simclr_tui.run.anatomy import EpochAnatomy
from simclr_tui.run.anatomy_words import HEADING, part_rows, remarks, seconds, waiting
from trainer.errors import ExitCode, UsageError
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

NEWEST = -1
"""What `--epoch` without a number asks for."""

_BAR_CELLS = 72


def show_epoch(options: argparse.Namespace, runs: Path) -> int:
    """Print the parts of an epoch, or of the newest one that has them.

    Raises:
        UsageError: the epoch has no anatomy.
    """
    with open_reader(runs) as reader:
        run = reader.find(options.run)
        anatomy, row = _anatomy(reader, run, options.epoch)
    if options.json:
        say_json(_document(run, anatomy, row))
        return ExitCode.FINISHED
    say(f"{run.name} ({run.id}), {anatomy.title()}: t_epoch {seconds(anatomy.t_epoch)}")
    section("where the seconds went", columns(HEADING, part_rows(anatomy, run), right=(1, 2, 3)).splitlines())
    bar = "".join(text for text, _ in anatomy.bar(_BAR_CELLS, named=False))
    section("as a bar", [bar, *anatomy.legend(_BAR_CELLS)])
    section("waiting, by two clocks", [f"{name}  {words}" for name, words in waiting(anatomy, row)])
    for remark in remarks(anatomy):
        say(f"\n{remark}")
    return ExitCode.FINISHED


def _anatomy(reader: StoreReader, run: Run, epoch: int) -> tuple[EpochAnatomy, dict[str, Any]]:
    """The parts of an epoch, with its row of `epochs`, empty where that is not written yet."""
    rows = reader.anatomy(run.id)
    known = sorted({row.epoch for row in rows})
    chosen = epoch if epoch != NEWEST else (known[-1] if known else NEWEST)
    found = EpochAnatomy.of([row for row in rows if row.epoch == chosen])
    if not found:
        if not known:
            raise UsageError(_why_none(reader, run))
        have = f"those of epochs {known[0]} to {known[-1]}" if len(known) > 1 else f"those of epoch {known[0]}"
        raise UsageError(f"--epoch {chosen}: its parts are not stored; give another number: there are {have}")
    return found[0], next((row for row in reader.epochs(run.id, after=chosen - 1) if row["epoch"] == chosen), {})


def _why_none(reader: StoreReader, run: Run) -> str:
    """Why no epoch of a run has parts, and what can be done."""
    if run.kind not in TRAINED_KINDS:
        return f"{run.name} is of kind {run.kind} and has no epochs; name a run that trains"
    if not reader.epochs(run.id):
        return f"no epoch of {run.name} has ended yet; its parts are stored as it ends, so try again then"
    return f"{run.name} was trained by a version that stored no parts of its epochs; name a later run"


def _document(run: Run, anatomy: EpochAnatomy, row: dict[str, Any]) -> dict[str, Any]:
    parts = [dataclasses.asdict(part) | {"name": part.name} for part in anatomy.parts]
    times = {name: row.get(name) for name in ("t_train", "t_data", "t_batch", "t_idle")}
    about = {"id": run.id, "name": run.name, "epoch": anatomy.epoch, "steps": anatomy.steps}
    return about | {"t_epoch": anatomy.t_epoch, **times, "unexplained_share": anatomy.unexplained, "parts": parts}
