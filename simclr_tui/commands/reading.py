"""`show`: what is in the store about a run, for people and for scripts."""

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

from simclr_tui.comfort.user_settings import read_price
from simclr_tui.commands.anatomy import show_epoch
from simclr_tui.commands.becoming import become
from simclr_tui.commands.evaluations import say_evaluations
from simclr_tui.commands.output import open_reader, run_json, say, say_json, section
from simclr_tui.commands.ranks import read_ranks, say_ranks
from simclr_tui.energy_words import energy_document, energy_lines
from simclr_tui.format import HEALTH_SIGNS, UNKNOWN, clock, count, duration, moment, number, percent
from simclr_tui.model import Curves, RunRow
from simclr_tui.objective import accuracy_chance, loss_chance
from simclr_tui.price import Price
from simclr_tui.run.changed_settings import changed_settings, recipe_name
from simclr_tui.words import end_words, stall_words
from trainer.errors import ExitCode
from trainer.options import show as show_value
from trainer.people import people_words
from trainer.state import run_state, was_stopped
from trainer.store.reader import StoreReader
from trainer.store.records import Run

_EVENTS_SHOWN = 8


def show_run(options: argparse.Namespace, runs: Path) -> int:
    """Print one run: settings, progress, figures of the last epoch, evaluation, last events."""
    if options.replay is not None:
        return _replay(options, runs)
    if options.epoch is not None:
        return show_epoch(options, runs)
    with open_reader(runs) as reader:
        run = reader.find(options.run)
        state = run_state(run, runs)
        if run.kind == "benchmark":
            return _show_benchmark(reader, run, state, options)
        if options.json:
            say_json(_document(reader, run, state))
            return ExitCode.FINISHED
        epochs, price = reader.epochs(run.id), read_price()
        say(f"{run.name} ({run.id}) is {state}")
        is_stopped = state == "stalled" and was_stopped(run, runs)
        _say_progress(RunRow(run, state, 0, is_stopped=is_stopped), epochs)
        _say_energy(run, epochs, price)
        _say_checkpoints(reader, run)
        _say_settings(run)
        _say_epoch(run, epochs)
        say_evaluations(reader, run)
        say_ranks(read_ranks(reader, run.id))
        _say_events(reader, run)
    return ExitCode.FINISHED


def _show_benchmark(reader: StoreReader, run: Run, state: str, options: argparse.Namespace) -> int:
    """The tables and the verdict of a benchmark, which has no step of its own."""
    from simclr_tui.commands.benchmark import show_benchmark

    show_benchmark(reader, run, state, as_json=options.json)
    if not options.json:
        _say_settings(run)
        _say_events(reader, run)
    return ExitCode.FINISHED


def _replay(options: argparse.Namespace, runs: Path) -> int:
    """Become the program that takes one step once more; it needs torch, which this one does without."""
    with open_reader(runs) as reader:
        run = reader.find(options.run)
    words = [sys.executable, "-m", "trainer.replay", "--runs-dir", str(runs), "--run", run.id]
    words += [f"--step={options.replay}", *(["--json"] if options.json else [])]
    return become(words)


def _document(reader: StoreReader, run: Run, state: str) -> dict[str, Any]:
    """Everything that `show` prints and more, for scripts."""
    epochs = reader.epochs(run.id)
    return run_json(run, state) | {
        "changed_settings": {one.name: one.value for one in changed_settings(run)},
        "last_epoch": epochs[-1] if epochs else None,
        "energy": energy_document(run, epochs, read_price()),
        "evaluations": [dataclasses.asdict(one) for one in reader.evaluations(run.id)],
        "artifacts": [dataclasses.asdict(one) for one in reader.artifacts(run.id)],
        "metrics": {name: {"step": step, "value": value} for name, (step, value) in _last_metrics(reader, run).items()},
        "checkpoints": [dataclasses.asdict(one) for one in reader.checkpoints(run.id)],
        **dataclasses.asdict(read_ranks(reader, run.id)),
        "events": [dataclasses.asdict(one) for one in reader.events(run_id=run.id, limit=_EVENTS_SHOWN)],
    }


def _last_metrics(reader: StoreReader, run: Run) -> dict[str, tuple[int, float | None]]:
    """The last value of every health series, with its step."""
    return {name: series[-1] for name, series in reader.metrics(run.id, after=-1).items()}


def _epochs(row: RunRow) -> str:
    return UNKNOWN if row.run.epoch is None else f"{row.run.epoch}/{row.total_epochs or UNKNOWN}"


def _say_progress(row: RunRow, epochs: list[dict[str, Any]]) -> None:
    run, now = row.run, time.time()
    lines = [f"made       {moment(run.created_at, now)}, {run.kind}, {recipe_name(run)}, on {run.device or UNKNOWN}"]
    if people_words(run):
        lines.append(f"owner      {people_words(run)}")
    if row.progress is not None:
        lines.append(f"step       {count(run.step)} of {count(run.total_steps)} ({100 * row.progress:.0f} %)")
        lines.append(f"epoch      {_epochs(row)}")
    if run.trained_seconds:
        lines.append(f"trained    {duration(run.trained_seconds)}")
    if row.state == "stalled":
        lines.append(f"stalled    {stall_words(row, now)}")
    elif row.is_live:
        lines.append(f"end        {end_words(row, Curves(run_id=run.id, epochs=epochs), now)}")
    if run.health:
        lines.append(f"health     {HEALTH_SIGNS.get(run.health_level or '', '?')} {run.health} ({run.health_rule})")
    if run.exactness:
        lines.append(f"exactness  {run.exactness}")
    section("progress", lines)


def _say_energy(run: Run, epochs: list[dict[str, Any]], price: Price | None) -> None:
    lines = energy_lines(run, epochs, price)
    if lines:
        section("energy", [f"{name:<14}{words}" for name, words in lines])


def _say_checkpoints(reader: StoreReader, run: Run) -> None:
    """Say that checkpoints can't be written, as long as they can't."""
    failure = reader.checkpoint_failure(run.id)
    if failure is not None:
        newest = next(iter(reader.checkpoints(run.id)), None)
        age = f"the newest is {duration(time.time() - newest.at)} old" if newest else "there is none"
        section("checkpoints can't be written", [f"✗ {age}; {failure.message}"])


def _say_settings(run: Run) -> None:
    changed = changed_settings(run)
    width = max((len(one.name) for one in changed), default=0)
    lines = [
        f"{one.name.replace('_', '-'):<{width}}  {show_value(one.value)}  (usually {show_value(one.usual)})"
        for one in changed
    ]
    section(f"settings that differ from {recipe_name(run)}", lines or ["none"])


def _say_epoch(run: Run, epochs: list[dict[str, Any]]) -> None:
    if not epochs:
        return
    last = epochs[-1]
    loss, accuracy = loss_chance(run), accuracy_chance(run)
    figures = [
        ("loss", number(last["loss"]), f"chance {number(loss)}" if loss else ""),
        (
            "contrastive top-1" if loss else "training top-1",
            f"{percent(last['acc_top1'])} %",
            f"chance {percent(accuracy.acc_top1)}" if accuracy else "",
        ),
        ("kNN top-1", f"{percent(last['knn_top1'])} %", ""),
        ("images per second", number(last["images_per_second"]), ""),
        ("t_epoch", duration(last["t_epoch"]), ""),
    ]
    width = max(len(name) for name, _, _ in figures)
    lines = [f"{name:<{width}}  {value:>8}  {note}".rstrip() for name, value, note in figures]
    section(f"epoch {last['epoch']}", lines)


def _say_events(reader: StoreReader, run: Run) -> None:
    events = reader.events(run_id=run.id, limit=_EVENTS_SHOWN)
    signs = {"warning": "! ", "error": "✗ "}
    lines = [f"{clock(e.at, seconds=True)}  {signs.get(e.level, '')}{e.message}" for e in reversed(events)]
    section("last events", lines)
