"""`queue`: who waits for which device, and its order."""

import argparse
import time
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import columns, open_reader, say, say_json, section
from simclr_tui.format import moment
from trainer import queue as lines
from trainer.device_lock import user_of, who
from trainer.devices import NEXT, describe, gpus
from trainer.errors import ExitCode, UnknownRunError, UsageError
from trainer.people import is_anothers, refuse_anothers
from trainer.store.reader import StoreReader
from trainer.store.records import SUBMITTED
from trainer.store.runs import RunStore

ACTIONS = (*lines.MOVES, "hold", "release", "leave", "to")
"""What can be done to a waiting run."""


def queue(options: argparse.Namespace, runs: Path) -> int:
    """Print the line of each device, or change it."""
    if options.action is None:
        return _show(runs, as_json=options.json)
    if options.run is None:
        raise UsageError(f"queue {options.action}: name a run; `simclr-tui queue` shows who waits")
    if (options.device is not None) != (options.action == "to"):
        raise UsageError("queue: `to RUN DEVICE` takes a device, such as next or cuda:1, and nothing else does")
    store = RunStore.open(runs)
    try:
        run = store.find(options.run)
        if options.owner is None or is_anothers(run):
            refuse_anothers(run, options.owner, or_runner=True)
        for other in lines.passed(store, runs, run.id, options.action):
            if is_anothers(other):
                refuse_anothers(other, options.owner)
        sentence = _change(store, run.id, run.name, options.action, options.device)
        if options.json:
            say_json(_document(store, runs))
        else:
            say(sentence)
    finally:
        store.close()
    return ExitCode.FINISHED


def _change(store: RunStore, run_id: str, name: str, action: str, device: str | None) -> str:
    """Do it, and say in a sentence what came of it."""
    if device is not None:
        there = gpus()
        return f"{name} waits for {describe(lines.redirect(store, run_id, device, there), there)} now"
    if action in lines.MOVES:
        return f"{name} is number {lines.move(store, run_id, action)} in its line"
    if action == "hold":
        lines.hold(store, run_id)
        return f"{name} is held: it lets others pass until `simclr-tui queue release {run_id}`"
    if action == "release":
        lines.release(store, run_id)
        return f"{name} has its turn again"
    lines.leave(store, run_id)
    return f"{name} leaves the line; `simclr-tui resume {run_id}` starts it"


def _document(reader: StoreReader, runs: Path) -> list[dict[str, Any]]:
    return [
        {
            "device": waiter.device,
            "place": waiter.place,
            "id": waiter.run.id,
            "name": waiter.run.name,
            "state": waiter.state,
            "held": waiter.is_held,
            "since": waiter.at,
        }
        for waiter in lines.line(reader, runs)
    ]


def _show(runs: Path, *, as_json: bool) -> int:
    try:
        with open_reader(runs) as reader:
            if as_json:
                say_json(_document(reader, runs))
            else:
                _say_lines(reader, runs)
    except UnknownRunError:
        if as_json:
            say_json([])
        else:
            say(f"no run waits in {runs}; `simclr-tui launch --queue` puts one in line")
    return ExitCode.FINISHED


def _say_lines(reader: StoreReader, runs: Path) -> None:
    waiters = lines.line(reader, runs)
    in_slurm = [run for run in reader.runs() if run.lifecycle == SUBMITTED]
    if not waiters and not in_slurm:
        say(f"no run waits in {runs}; `simclr-tui launch --queue` puts one in line")
    there, now = gpus(), time.time()
    for device in dict.fromkeys(waiter.device for waiter in waiters):
        process = None if device == NEXT else user_of(device)
        used = f", used by {who(reader, process)[0]}" if process is not None else ""
        rows = [
            [str(one.place), one.run.id, one.run.name, "held" if one.is_held else one.state, moment(one.at, now)]
            for one in waiters
            if one.device == device
        ]
        table = columns(["place", "id", "name", "state", "since"], rows, right=(0,))
        section(f"{describe(device, there)}{used}", table.splitlines())
    if in_slurm:
        section("Slurm's own queue, which `squeue --me` shows", [f"{run.id}  {run.name}" for run in in_slurm])
    kept = lines.set_aside(reader, runs)
    if kept:
        names = ", ".join(run.name for run in kept)
        say(f"\nin line before they were interrupted: {names}; `simclr-tui resume --all` puts them back")
