"""`checkpoints`: which a run has, why each is kept, whether its bytes are right; pinning one."""

import argparse
import dataclasses
import time
from pathlib import Path

from simclr_tui.commands.output import columns, open_reader, say, say_json
from simclr_tui.format import count, moment, percent, size
from simclr_tui.run.checkpoint_deeds import verify
from simclr_tui.run.checkpoint_words import kept_as, state_of, totals, what_goes_next, why
from trainer.errors import ExitCode, UsageError
from trainer.people import refuse_anothers
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
        if options.pin is not None or options.unpin is not None:
            refuse_anothers(run, options.owner)
        rows = reader.checkpoints(run.id)
    damaged: set[int] = set()
    if options.verify or options.pin is not None or options.unpin is not None:
        store = RunStore.open(runs)
        try:
            _pin(store, run, options)
            damaged = verify(store, rows) if options.verify else set()
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


def _print(run: Run, rows: list[Checkpoint], pinned: frozenset[int], damaged: set[int], *, as_json: bool) -> None:
    kept = kept_as(run, rows, pinned)
    states = {row.step: state_of(row, damaged) for row in rows}
    if as_json:
        document = [
            dataclasses.asdict(row)
            | {"state": states[row.step], "kept_as": kept.get(row.step, []), "pinned": row.step in pinned}
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
            why(row, kept, pinned),
        ]
        for row in rows
    ]
    heading = ["step", "epoch", "written for", "size", "at", "kNN %", "bytes", "kept as"]
    say(columns(heading, table, right=(0, 1, 3, 5)))
    say(f"\n{totals(rows)}; {what_goes_next(run, rows, pinned, now)}")
