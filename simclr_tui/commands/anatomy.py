"""`show --epoch`: where the seconds of an epoch went."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from simclr_tui.anatomy import MOST_UNEXPLAINED, EpochAnatomy, PartShare
from simclr_tui.commands.output import columns, open_reader, say, say_json, section
from simclr_tui.format import UNKNOWN, number, percent
from trainer.errors import ExitCode, UsageError
from trainer.parts import AUGMENTATION, UNEXPLAINED
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run
from trainer.stored_settings import settings_of

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
    say(f"{run.name} ({run.id}), {anatomy.title()}: t_epoch {_seconds(anatomy.t_epoch)}")
    lines = _table(anatomy, run).splitlines()
    section("where the seconds went", lines)
    bar = "".join(text for text, _ in anatomy.bar(_BAR_CELLS, named=False))
    section("as a bar", [bar, *anatomy.legend(_BAR_CELLS)])
    section("waiting, by two clocks", _waiting(anatomy, row))
    if anatomy.is_sampled:
        measured = next(part.steps for part in anatomy.parts if part.is_sampled)
        say(f"\nsampled: {measured} of {anatomy.steps} steps were measured part by part, the others as a whole")
    if anatomy.unexplained >= MOST_UNEXPLAINED:
        say(f"\n▲ {percent(anatomy.unexplained)} % of the epoch is in no part; docs/anatomy.md says what that can be")
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


def _table(anatomy: EpochAnatomy, run: Run) -> str:
    rows = [
        [
            part.name,
            f"{part.seconds:.3f}",
            f"{percent(part.share)} %",
            number(1000 * part.seconds / anatomy.steps) if anatomy.steps else UNKNOWN,
            part.clock,
            _note(part, run),
        ]
        for part in anatomy.parts
    ]
    return columns(["part", "seconds", "share", "ms per step", "clock", ""], rows, right=(1, 2, 3))


def _note(part: PartShare, run: Run) -> str:
    settings = settings_of(run)
    if part.is_sampled:
        return "sampled"
    if part.part == AUGMENTATION and settings.get("augment") == "torchvision":
        return "by the workers, meanwhile" if settings.get("num_workers") else "by the training process, between steps"
    return "▲ 3 % or more" if part.part == UNEXPLAINED and part.share >= MOST_UNEXPLAINED else ""


def _waiting(anatomy: EpochAnatomy, row: dict[str, Any]) -> list[str]:
    t_data, t_idle = row.get("t_data"), row.get("t_idle")
    data = f"{number(1000 * t_data)} ms per step" if t_data is not None else UNKNOWN
    idle = f"{_seconds(t_idle)}, {percent(t_idle / anatomy.t_epoch)} % of the epoch" if t_idle is not None else UNKNOWN
    return [f"t_data  {data} that the host waited for data", f"t_idle  {idle}, that the device waited between steps"]


def _document(run: Run, anatomy: EpochAnatomy, row: dict[str, Any]) -> dict[str, Any]:
    parts = [dataclasses.asdict(part) | {"name": part.name} for part in anatomy.parts]
    times = {name: row.get(name) for name in ("t_train", "t_data", "t_batch", "t_idle")}
    about = {"id": run.id, "name": run.name, "epoch": anatomy.epoch, "steps": anatomy.steps}
    return about | {"t_epoch": anatomy.t_epoch, **times, "unexplained_share": anatomy.unexplained, "parts": parts}


def _seconds(seconds: float) -> str:
    return f"{number(seconds, 4)} s"
