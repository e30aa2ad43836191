"""The runs: which were cut off, what the store and the disk say against each other, who waits and is dead."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.doctor import checkpoints
from trainer.doctor.check import Check, listed, plural
from trainer.doctor.database import kind_of
from trainer.errors import StoreError
from trainer.manifest import run_folders
from trainer.paths import EMPTIED, store_file
from trainer.process import live_trainers
from trainer.queue import line, set_aside
from trainer.state import LIVE_STATES, run_state
from trainer.store.labels import read_labels
from trainer.store.queue import queue_rows
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

_REBUILD = "`simclr-tui doctor --rebuild` adds them"


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store says."""

    runs: dict[str, Run]
    steps: dict[str, set[int]]
    """Steps of the checkpoints that it announces, by run."""
    trashed: Collection[str] = ()
    """Runs in the trash."""


def read_store(runs: Path) -> Stored | None:
    """What the store says, or None where there is none that can be read."""
    if kind_of(store_file(runs)) != "store":
        return None
    try:
        reader = StoreReader.open(runs)
        try:
            found = {run.id: run for run in reader.runs()}
            steps = {run_id: {row.step for row in reader.checkpoints(run_id)} for run_id in found}
            trashed = [run_id for run_id, labels in read_labels(reader).items() if labels.trashed_at is not None]
            return Stored(found, steps, trashed)
        finally:
            reader.close()
    except StoreError:
        return None


def checks(runs: Path, stored: Stored | None, *, depth: checkpoints.Depth) -> Iterator[Check]:
    """Everything about the runs of a folder.

    Args:
        runs: the runs folder, which is there.
        stored: what its store says.
        depth: whose checkpoints' bytes are read.

    Raises:
        OSError: the folder can't be listed.
    """
    folders, links = run_folders(runs)
    for sentence in links:
        what, _, remedy = sentence.partition("; ")
        yield Check("run folder", "warn", what, remedy)
    if stored is not None:
        yield from states(runs, stored.runs.values(), stored.trashed)
        yield from emptied(runs)
    found = checkpoints.survey(folders, depth=depth)
    names = {} if stored is None else {run.id: run.name for run in stored.runs.values()}
    finished = {run.id for run in stored.runs.values() if run.lifecycle == "finished"} if stored is not None else ()
    yield from checkpoints.verdict(found, names, finished)
    yield from checkpoints.damaged_ones(folders)
    if stored is None:
        yield from _without_store(found)
    else:
        yield from waiting(runs)
        live = {run_id for run_id, _ in live_trainers(runs)}
        yield from against_store(found, stored, live)


def states(runs: Path, rows: Collection[Run], trashed: Collection[str] = ()) -> Iterator[Check]:
    """How many runs there are, and those whose trainer is gone without a word, but those in the trash."""
    by_state = {run.id: run_state(run, runs) for run in rows}
    live = sum(state in LIVE_STATES for state in by_state.values())
    yield Check("runs", "ok", f"{plural(len(by_state), 'run')}, {live} of them with a live trainer")
    cut_off = [run for run in rows if by_state[run.id] == "interrupted" and run.id not in trashed]
    if cut_off:
        words = f"{plural(len(cut_off), 'run')} interrupted: {listed(f'{run.name} ({run.id})' for run in cut_off)}"
        remedy = f"`simclr-tui resume {cut_off[0].id}`"
        remedy = remedy if len(cut_off) == 1 else f"`simclr-tui resume --all`, or one of them by {remedy}"
        yield Check("interrupted", "warn", words, remedy)


def emptied(runs: Path) -> Iterator[Check]:
    """What is left of runs that were being deleted for good when the process ended."""
    left = [folder.name.removeprefix(EMPTIED) for folder in sorted(runs.glob(f"{EMPTIED}*"))]
    if left:
        words = f"{plural(len(left), 'run')} deleted in part: {listed(left)}"
        yield Check("trash", "warn", words, "`simclr-tui trash --empty` deletes the rest")


def waiting(runs: Path) -> Iterator[Check]:
    """Who waits for a device, whose trainer died in the line, and who has a place to come back to."""
    reader = StoreReader.open(runs)
    try:
        rows = {row.run_id for row in queue_rows(reader)}
        in_line = {waiter.run.id for waiter in line(reader, runs)}
        kept = {run.id: run.name for run in set_aside(reader, runs)}
    finally:
        reader.close()
    if not rows:
        return
    words = f"{plural(len(in_line), 'run')} in line"
    gone = rows - in_line - kept.keys()
    if gone:
        words += f", and the places of {plural(len(gone), 'run')} that ended there ({listed(sorted(gone))})"
    yield Check("queue", "ok", words, "nothing: the next trainer in line takes those places away" if gone else "")
    if kept:
        words = f"{plural(len(kept), 'run')} lost their trainer in line and kept their place: {listed(kept.values())}"
        yield Check("queue", "warn", words, " or ".join(f"`simclr-tui resume {run_id} --queue`" for run_id in kept))


def _without_store(found: checkpoints.Survey) -> Iterator[Check]:
    on_disk = [run_id for run_id, sound in found.sound.items() if sound]
    if on_disk:
        words = f"{plural(len(on_disk), 'run')} with checkpoints and no store that knows them: {listed(on_disk)}"
        yield Check("run table", "bad", words, "`simclr-tui doctor --rebuild` restores it from the checkpoints")


def against_store(found: checkpoints.Survey, stored: Stored, live: Collection[str]) -> Iterator[Check]:
    """Where the store and the disk disagree.

    Args:
        found: what lies on the disk.
        stored: what the store says.
        live: runs with a live trainer, whose checkpoints change while one looks.
    """
    unknown = [run_id for run_id, sound in found.sound.items() if sound and run_id not in stored.runs]
    if unknown:
        words = f"{plural(len(unknown), 'run')} with checkpoints and no row in the store: {listed(unknown)}"
        yield Check("run table", "bad", words, _REBUILD)
    resting = [run_id for run_id in stored.runs if run_id not in live]
    unannounced = [
        f"{run_id} step {step}"
        for run_id in resting
        for step in found.steps(run_id)
        if step not in stored.steps[run_id]
    ]
    if unannounced:
        words = f"{plural(len(unannounced), 'checkpoint')} that the store does not announce: {listed(unannounced)}"
        yield Check("checkpoint rows", "warn", words, _REBUILD)
    gone: list[str] = []
    lost: list[str] = []
    damaged = {(run_id, which) for run_id, which, _ in found.faults}
    for run_id in resting:
        missing = [
            f"{run_id} step {step}"
            for step in sorted(stored.steps[run_id] - set(found.steps(run_id)), reverse=True)
            if (run_id, f"step-{step}") not in damaged
        ]
        run = stored.runs[run_id]
        needs_one = run.kind in TRAINED_KINDS and run.lifecycle != "finished"
        (lost if needs_one and missing and not found.steps(run_id) else gone).extend(missing)
    if lost:
        words = f"all checkpoints of unfinished runs are gone: {listed(lost)}"
        yield Check("checkpoint files", "bad", words, "put them back from a copy, or launch the run anew")
    if gone:
        words = f"{plural(len(gone), 'checkpoint')} that the store announces and that are not there: {listed(gone)}"
        yield Check("checkpoint files", "warn", words, "put them back from a copy, if you did not delete them")
