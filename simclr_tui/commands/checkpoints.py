"""`checkpoints`: which a run has, why each is kept, whether its bytes are right; pinning one."""

import argparse
import dataclasses
import time
from pathlib import Path

from simclr_tui.commands.output import columns, open_reader, say, say_json
from simclr_tui.format import UNKNOWN, count, moment, percent, size
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, ExitCode, UsageError
from trainer.retention import Retention, reads_back, reasons
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Checkpoint, Run
from trainer.store.runs import RunStore


def list_checkpoints(options: argparse.Namespace, runs: Path) -> int:
    """Pin, unpin and verify as asked, then print the checkpoints; exit code 1 where one does not verify."""
    with open_reader(runs) as reader:
        run = reader.find(options.run)
        if run.kind not in TRAINED_KINDS:
            raise UsageError(f"{run.name} is of kind {run.kind}, which has no checkpoints; name a run that trains")
        _check_steps(reader, run, {"--pin": options.pin, "--unpin": options.unpin})
        rows = reader.checkpoints(run.id)
    damaged: set[int] = set()
    if options.verify or options.pin is not None or options.unpin is not None:
        store = RunStore.open(runs)
        try:
            _pin(store, run, options)
            damaged = _verify(store, rows) if options.verify else set()
        finally:
            store.close()
    with open_reader(runs) as reader:
        rows = reader.checkpoints(run.id)
        pinned = reader.pinned_checkpoints(run.id)
    _print(run, rows, pinned, damaged, as_json=options.json)
    return ExitCode.FAILED if damaged else ExitCode.FINISHED


def _check_steps(reader: StoreReader, run: Run, given: dict[str, int | None]) -> None:
    there = {row.step for row in reader.checkpoints(run.id)} | reader.pinned_checkpoints(run.id)
    for option, step in given.items():
        if step is not None and step not in there:
            raise UsageError(
                f"{option}: {run.name} has no checkpoint of step {step}; `simclr-tui checkpoints {run.id}` lists them"
            )


def _pin(store: RunStore, run: Run, options: argparse.Namespace) -> None:
    if options.pin is not None:
        store.pin_checkpoint(run.id, options.pin)
    if options.unpin is not None:
        store.unpin_checkpoint(run.id, options.unpin)


def _verify(store: RunStore, rows: list[Checkpoint]) -> set[int]:
    """Read every checkpoint; the steps of those whose bytes are not right.

    One that its trainer deletes meanwhile is none of them. A damaged one is left where it is, since its trainer may be
    at work there: it only counts for nothing from now on.
    """
    damaged = set()
    for row in rows:
        is_good = reads_back(store.runs_path / row.path, row.bytes, row.sha256)
        still_there = {one.step: one.sha256 for one in store.checkpoints(row.run_id)}
        if still_there.get(row.step) != row.sha256:
            continue
        store.set_verified(row.run_id, row.step, time.time() if is_good else None)
        if not is_good:
            damaged.add(row.step)
    return damaged


def _print(run: Run, rows: list[Checkpoint], pinned: frozenset[int], damaged: set[int], *, as_json: bool) -> None:
    why = _reasons(run, rows, pinned)
    states = {row.step: _state(row, damaged) for row in rows}
    if as_json:
        document = [
            dataclasses.asdict(row)
            | {"state": states[row.step], "kept_as": why.get(row.step, []), "pinned": row.step in pinned}
            for row in rows
        ]
        say_json(document)
        return
    if not rows:
        say(f"{run.name} has no checkpoint yet")
        return
    now = time.time()
    table = [
        [
            count(row.step),
            count(row.epoch),
            row.reason,
            size(row.bytes),
            moment(row.at, now),
            percent(row.knn_top1),
            states[row.step],
            ", ".join(why.get(row.step, ["pinned"] if row.step in pinned else [])) or UNKNOWN,
        ]
        for row in rows
    ]
    say(columns(["step", "epoch", "written for", "size", "at", "kNN %", "bytes", "kept as"], table, right=(0, 1, 3, 5)))


def _state(row: Checkpoint, damaged: set[int]) -> str:
    if row.step in damaged:
        return "damaged"
    return "not verified" if row.verified_at is None else "verified"


def _reasons(run: Run, rows: list[Checkpoint], pinned: frozenset[int]) -> dict[int, list[str]]:
    """Why each verified checkpoint is kept; nothing where the run's settings are not readable by this version."""
    try:
        config = PretrainConfig.from_json(run.config)
    except ConfigError:
        return {}
    retention = Retention(newest=config.keep_checkpoints, milestones=config.keep_every_epochs > 0, pinned=pinned)
    return reasons(rows, retention)
