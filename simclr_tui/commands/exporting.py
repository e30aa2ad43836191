"""`export`: a run written for other programs."""

import argparse
import sys
from pathlib import Path

from simclr_tui.commands.becoming import become
from simclr_tui.commands.output import open_reader, say, say_json
from simclr_tui.format import count, size
from trainer.errors import ExitCode, UsageError
from trainer.export.target import plain_name
from trainer.paths import typed_path
from trainer.store.reader import StoreReader
from trainer.store.records import Run

_ENDINGS = {"archive": ".tar"}


def export(options: argparse.Namespace, runs: Path) -> int:
    """Write a run in the format that was asked for, and say where.

    Raises:
        UsageError: the run is unknown, something is there already, or a package is missing.
        TrainerError: it can't be written.
    """
    with open_reader(runs) as reader:
        run = reader.find(options.run)
        _check_options(options)
        out = _out(options, run)
        if options.to == "archive":
            return _archive(reader, run, out, options)
        if options.to != "encoder":
            rows = _write(reader, run, out, options)
    if options.to == "encoder":
        return _encoder(run, runs, out, options)
    if options.json:
        say_json({"run_id": run.id, "to": options.to, "out": str(out), "rows": rows})
    else:
        told = ", ".join(f"{count(number)} {table}" for table, number in rows.items() if number) or "nothing yet"
        say(f"{out} has {run.name}: {told}")
    return ExitCode.FINISHED


def _out(options: argparse.Namespace, run: Run) -> Path:
    name = plain_name(run.name) + _ENDINGS.get(options.to, f"-{options.to}")
    if options.out and "\0" in options.out:
        raise UsageError("--out: a path can't hold a NUL; name another one")
    return typed_path(options.out or name).absolute()


def _check_options(options: argparse.Namespace) -> None:
    for name in ("step", "fc"):
        value = getattr(options, name)
        if value is None:
            continue
        if options.to != "encoder":
            raise UsageError(f"--{name} is for --to encoder; leave it out")
        if value < 1:
            raise UsageError(f"--{name}: {value} is below 1; give a whole number from 1 up")


def _encoder(run: Run, runs: Path, out: Path, options: argparse.Namespace) -> int:
    """Become the program that writes encoders; it needs torch, which this one does without."""
    words = [sys.executable, "-m", "trainer.export", "--runs-dir", str(runs), "--run", run.id, "--out", str(out)]
    words += [f"--{name}={value}" for name in ("step", "fc") if (value := getattr(options, name)) is not None]
    words += [f"--{name}" for name in ("force", "json") if getattr(options, name)]
    return become(words)


def _write(reader: StoreReader, run: Run, out: Path, options: argparse.Namespace) -> dict[str, int]:
    if options.to == "tensorboard":
        from trainer.export.event_writer import write_events

        return write_events(reader, run, out, force=options.force)
    from trainer.export.tables import write_tables

    return write_tables(reader, run, out, options.to, force=options.force)


def _archive(reader: StoreReader, run: Run, out: Path, options: argparse.Namespace) -> int:
    from trainer.export.archive import write_archive

    packed = write_archive(reader, run, out, force=options.force)
    if options.json:
        say_json(
            {"run_id": run.id, "to": "archive", "out": str(out), "rows": packed.rows}
            | {"bytes": packed.bytes, "files": packed.files, "left_out": packed.left_out}
        )
        return ExitCode.FINISHED
    say(f"{out} ({size(packed.bytes)}) has {run.name} with {counted(packed.checkpoints, 'checkpoint')}")
    for sentence in packed.left_out:
        say(f"! left out: {sentence}")
    return ExitCode.FINISHED


def counted(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"1 {noun}" if number == 1 else f"{count(number)} {noun}s"
