"""Event files as a run of the store: it stands in the list, the charts and comparisons, and has nothing to resume.

Tags as the UvA tutorial 17 has them (train_loss, val_acc_top1, …) become the columns that runs of this program have,
all others series of `metrics` under their own names. Steps and epochs count from 1 here and from 0 in Lightning, which
a tag `epoch` that begins with 0 shows.
"""

import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.cells import cell_len, set_cell_size

from trainer.adding import AddingStore
from trainer.errors import StoreError
from trainer.export.event_files import Events, groups, read_events
from trainer.export.importing import MOVED, add_rows, add_run, clear, clear_left, only_import
from trainer.export.tags import EPOCH_TAGS, STEP_TAGS
from trainer.paths import import_dir, new_run_id, run_dir
from trainer.sharing import make_folder
from trainer.start import LONGEST_NAME, checked_name
from trainer.store.records import IMPORTED

Row = dict[str, Any]

_STEP_NAMES = {tag: name for name, tag in STEP_TAGS.items()}
_EPOCH_NAMES = {tag: name for name, tag in EPOCH_TAGS.items()}
_MEANS = ("loss", "acc_top1", "acc_top5", "acc_mean_pos")
_LONGEST_TAG = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedEvents:
    """What came of an import."""

    run_id: str
    name: str
    values: int
    steps: int
    epochs: int
    notes: tuple[str, ...]
    """Sentences on what could not be read."""


def import_events(store: AddingStore, folder: Path, *, name: str = "") -> ImportedEvents:
    """Add a run that is made of event files. Commits often, in the end durably: all of it or nothing.

    Args:
        store: the store.
        folder: with the event files of one run.
        name: what to call the run, by default as the folder is called.

    Raises:
        UsageError: the folder has no event files, or those of several runs, or TensorBoard's package is missing.
        BusyError: another import is under way.
        StoreError: the store or the folder can't be written.
    """
    name = checked_name(name) or _free_name(store, folder)
    events = read_events(folder)
    shift = _shift(events)
    steps = _step_rows(events, shift)
    epochs = _epoch_rows(events, steps)
    with only_import(store.runs_path):
        clear_left(store)
        run_id = new_run_id()
        begun = import_dir(store.runs_path, run_id)
        try:
            make_folder(begun)
            add_rows(store, "steps", run_id, iter(steps))
            add_rows(store, "epochs", run_id, iter(epochs))
            add_rows(store, "metrics", run_id, iter(_metric_rows(events, shift)))
            (begun / MOVED).touch()
            make_folder(run_dir(store.runs_path, run_id))
            row, told = _run_row(run_id, name, events, shift, steps, epochs), _told(events, folder)
            add_run(store, row, {"events": told})
        except OSError as error:
            raise StoreError(f"{begun} can't be written ({error.strerror}); free some space and try again") from error
        finally:
            clear(store, run_id)
    return ImportedEvents(
        run_id=run_id,
        name=name,
        values=events.values,
        steps=len(steps),
        epochs=len(epochs),
        notes=tuple(events.notes),
    )


def _shift(events: Events) -> int:
    """What is added to a step, so that the first one is 1."""
    epochs = events.series.get("epoch")
    counts_epochs_from_0 = epochs is not None and min(epochs.values) == 0
    counts_steps_from_0 = any(0 in events.series[tag].steps for tag in _STEP_NAMES if tag in events.series)
    return 1 if counts_epochs_from_0 or counts_steps_from_0 else 0


def _step_rows(events: Events, shift: int) -> list[Row]:
    """Rows of `steps`, each with its epoch."""
    found = list(groups(events.series, {tag: name for tag, name in _STEP_NAMES.items() if name != "epoch"}))
    return [
        {"step": step + shift, "epoch": epoch, **{name: _finite(value) for name, value in values.items()}}
        for (step, _, values), epoch in zip(found, _epochs_of(events, [step for step, _, _ in found]), strict=True)
    ]


def _epochs_of(events: Events, steps: Iterable[int]) -> list[int]:
    """The epoch of each of some rising steps: by the tag `epoch`, else by where epochs' figures lie, else the first."""
    known = events.series.get("epoch")
    if known is not None:
        points = [(step, value) for step, value, _ in known.points() if math.isfinite(value)]
        first = 1 - int(min((value for _, value in points), default=1.0)) if points and points[0][1] == 0 else 0
        bounds = [(step, int(value) + first) for step, value in points]
    else:
        ends = sorted({step for tag in _EPOCH_NAMES if tag in events.series for step in events.series[tag].steps})
        bounds = [(step, number) for number, step in enumerate(ends, start=1)]
    found, place = [], 0
    for step in steps:  # of a step between two known ones the epoch is that of the later one, which it leads to
        while place < len(bounds) - 1 and bounds[place][0] < step:
            place += 1
        found.append(max(1, bounds[place][1]) if bounds else 1)
    return found


def _epoch_rows(events: Events, steps: list[Row]) -> list[Row]:
    """Rows of `epochs`: what was logged of each, and means of its steps where none were logged."""
    found: dict[int, Row] = {}
    logged = list(groups(events.series, dict(_EPOCH_NAMES)))
    for (_, seconds, values), epoch in zip(logged, _epochs_of(events, [step for step, _, _ in logged]), strict=True):
        row = found.setdefault(epoch, {"epoch": epoch})
        row |= {"at": seconds} | {name: _finite(value) for name, value in values.items()}
        if row.get("val_batch_size") is not None:
            row["val_batch_size"] = int(row["val_batch_size"])
    for name in _MEANS:
        sums: dict[int, list[float]] = {}
        for step in steps:
            if step.get(name) is not None:
                total = sums.setdefault(step["epoch"], [0.0, 0])
                total[0] += step[name]
                total[1] += 1
        for epoch, (total_value, count) in sums.items():
            if epoch in found:  # one that has not ended has no row
                found[epoch].setdefault(name, total_value / count)
    return [found[epoch] for epoch in sorted(found)]


def _metric_rows(events: Events, shift: int) -> Iterable[Row]:
    for tag in sorted(events.series.keys() - _STEP_NAMES.keys() - _EPOCH_NAMES.keys()):
        name = "".join(letter if letter.isprintable() else "_" for letter in tag)[:_LONGEST_TAG] or "_"
        for step, value, _ in events.series[tag].points():
            yield {"name": name, "step": step + shift, "value": _finite(value)}


def _run_row(run_id: str, name: str, events: Events, shift: int, steps: list[Row], epochs: list[Row]) -> Row:
    first, last = _span(events)
    last_step = max(max(one.steps) for one in events.series.values()) + shift
    return {
        "id": run_id,
        "name": name,
        "kind": IMPORTED,
        "config": "{}",
        "created_at": first,
        "lifecycle": "finished",
        "lifecycle_at": last,
        "progress_at": last,
        "step": last_step,
        "epoch": max((row["epoch"] for row in (*steps[-1:], *epochs[-1:])), default=None),
        "total_steps": last_step,
        "steps_per_epoch": _steps_per_epoch(steps, epochs),
    }


def _steps_per_epoch(steps: list[Row], epochs: list[Row]) -> int | None:
    """From the last logged steps of whole epochs, which lie that far apart."""
    ends = {row["epoch"]: row["step"] for row in steps}
    whole = [ends[row["epoch"]] for row in epochs if row["epoch"] in ends]
    apart = [after - before for before, after in pairwise(whole)]
    return max(1, round(median(apart))) if apart else (max(1, whole[0]) if whole else None)


def _span(events: Events) -> tuple[float, float]:
    """UTC seconds of the first and the last value."""
    return (
        min(min(one.seconds) for one in events.series.values()),
        max(max(one.seconds) for one in events.series.values()),
    )


def _told(events: Events, folder: Path) -> list[Row]:
    first, last = _span(events)
    words = f"imported from the event files in {os.fsencode(folder).decode(errors='backslashreplace')}"
    rows = [(first, "started", "first value of the event files"), (last, "finished", "last value of the event files")]
    rows.append((time.time(), "imported", words))
    return [{"at": at, "level": "info", "kind": kind, "message": message} for at, kind, message in rows]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _free_name(store: AddingStore, folder: Path) -> str:
    """The folder's name, with that above it where a logger has only counted, and a number where it is taken."""
    is_counted = folder.name.startswith("version_")
    text = f"{folder.parent.name}-{folder.name}" if is_counted and folder.parent.name else folder.name
    plain = "".join(letter if letter.isprintable() else "_" for letter in text).strip() or "imported"
    base = set_cell_size(plain, min(cell_len(plain), LONGEST_NAME - 5)).rstrip()
    taken = {run.name for run in store.runs()}
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}-{n}" if n > 1 else base) not in taken)
