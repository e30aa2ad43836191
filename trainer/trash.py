"""The trash: runs that are put aside, taken out again, or deleted for good.

A run in the trash is a run with a label, and all of it is there. Deleting one moves its folder away first, in one
rename that nothing comes back from: under its new name nobody takes it for a run, so that neither a trainer nor
`doctor --rebuild` finds it. Then its rows go, some at a time since others write meanwhile, the row of the run last, and
then the files. Whatever ends the process in between, the next time goes on where it was.
"""

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.durable import sync
from trainer.errors import BusyError, TrainerError, UnknownRunError, UsageError
from trainer.exclusive import only_one
from trainer.paths import EMPTIED, emptied_dir, run_dir
from trainer.people import by_whom
from trainer.process import RunLock, wait_until_free
from trainer.quote import quoted
from trainer.sharing import make_folder
from trainer.state import LIVE_STATES, run_state
from trainer.store.labels import change_labels, labels_of, read_labels
from trainer.store.queue import delete_row
from trainer.store.reader import StoreReader
from trainer.store.records import Labels, Run
from trainer.store.runs import RunStore

_RELEASE_SECONDS = 1.0
"""How long a trainer that has said how it ended may take to end."""

_ROWS_AT_ONCE = 5000
"""Rows that are deleted in one transaction: some milliseconds, for which no trainer waits long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trashed:
    """A run in the trash."""

    run: Run
    at: float
    """UTC seconds at which it was put there."""
    bytes: int
    """Of its files on the disk."""
    shared_bytes: int
    """Those of them that forks have too, and that stay when it is deleted."""
    is_going: bool
    """Whether deleting it was begun, so that it can't be taken out any more."""


@dataclass(frozen=True, slots=True)
class Emptied:
    """What came of emptying the trash."""

    run_ids: list[str]
    """The runs that are gone."""
    freed_bytes: int
    left: dict[str, str]
    """Why a run could not be deleted now, by id."""


def in_use(name: str, state: str, *, is_launched: bool = True) -> str | None:
    """Why a run can't be put into the trash now, with what to do first, or None where it can. Pure."""
    if state == "queued" and is_launched:
        return f"{name} waits in line; take it out of the line with pause or stop first"
    return f"{name} is {state}; stop it first" if state in LIVE_STATES else None


def put(store: RunStore, run_id: str) -> Run:
    """Put a run into the trash. Commits durably.

    Its forks go on without it: their checkpoints are their own. What evaluations found stays with it.

    Raises:
        UsageError: it is alive, waits in line, is being evaluated, or is in the trash already.
        UnknownRunError: it is not there.
    """
    run = store.run(run_id)
    _refuse_used(store, run)

    def change(labels: Labels) -> Labels:
        if labels.trashed_at is not None:
            raise UsageError(f"{run.name} is in the trash already; `simclr-tui restore {run_id}` takes it out")
        return replace(labels, trashed_at=time.time())

    change_labels(store, run_id, change)
    try:
        # A trainer takes its lock before it looks for the label, so that one of the two sees the other.
        _refuse_used(store, store.run(run_id))
    except TrainerError:
        change_labels(store, run_id, lambda labels: replace(labels, trashed_at=None))
        raise
    delete_row(store, run_id)
    store.event(run_id, "trashed", f"put into the trash{by_whom(run)}; `simclr-tui restore {run_id}` takes it out")
    return run


def _refuse_used(store: StoreReader, run: Run) -> None:
    """See that nobody works on a run. Asks for its lock, which whoever has it must not do.

    Raises:
        UsageError: it is alive, waits in line or is being evaluated.
        BusyError: its last trainer has not ended yet.
    """
    runs = store.runs_path
    state = run_state(run, runs)
    sentence = in_use(run.name, state, is_launched=run.lifecycle != "created")
    if sentence is not None:
        raise UsageError(sentence)
    if not wait_until_free(runs, run.id, seconds=_RELEASE_SECONDS):
        raise BusyError(f"a trainer of {run.name} has not ended yet; try again in a moment")
    jobs = [store.run(row[0]) for row in store._rows("SELECT id FROM runs WHERE source_run_id = ?", (run.id,))]
    for job in jobs:
        if run_state(job, runs) in LIVE_STATES:
            raise UsageError(f"{job.name} ({job.id}) evaluates {run.name} now; wait until it has ended, or stop it")


def take_out(store: RunStore, run_id: str) -> Run:
    """Take a run out of the trash, as it was. Commits durably.

    Raises:
        UsageError: it is not there, or deleting it has begun.
        UnknownRunError: the run is gone.
    """
    run = store.run(run_id)

    def change(labels: Labels) -> Labels:
        if labels.trashed_at is None:
            raise UsageError(f"{run.name} is not in the trash; there is nothing to restore")
        if emptied_dir(store.runs_path, run_id).exists():
            raise UsageError(
                f"{run.name} is being deleted, and part of it is gone; `simclr-tui trash --empty` ends that"
            )
        return replace(labels, trashed_at=None)

    change_labels(store, run_id, change)
    store.event(run_id, "restored", f"taken out of the trash{by_whom(run)}")
    return run


def find(reader: StoreReader, text: str) -> Run:
    """A run in the trash by its id, the beginning of its id, or its name: the one that was put there last.

    Raises:
        UnknownRunError: there is none such.
        UsageError: there is a run, which is not in the trash.
    """
    trashed = _in_trash(reader)
    same = [run for run, _ in trashed if run.id == text] or [run for run, _ in trashed if run.name == text]
    if not same and text:
        same = [run for run, _ in trashed if run.id.startswith(text)]
        if len(same) > 1:
            raise UnknownRunError(f"{quoted(text)} begins {len(same)} ids of runs in the trash; write more of it")
    if same:
        return same[0]
    run = reader.find(text)
    raise UsageError(f"{run.name} is not in the trash; there is nothing to restore")


def _in_trash(reader: StoreReader) -> list[tuple[Run, float]]:
    """Runs in the trash with the time at which they came there, the last one first."""
    at = {run_id: labels.trashed_at for run_id, labels in read_labels(reader).items()}
    found = [(run, when) for run in reader.runs() if (when := at.get(run.id)) is not None]
    return sorted(found, key=lambda one: -one[1])


def contents(reader: StoreReader, runs: Path) -> list[Trashed]:
    """What is in the trash, the last that came first. Reads only, also the sizes of every file."""
    return [_weighed(runs, run, at) for run, at in _in_trash(reader)]


def _weighed(runs: Path, run: Run, at: float) -> Trashed:
    going = emptied_dir(runs, run.id)
    own, shared = (sum(sizes) for sizes in zip(_weigh(run_dir(runs, run.id)), _weigh(going), strict=True))
    return Trashed(run=run, at=at, bytes=own + shared, shared_bytes=shared, is_going=going.exists())


def _weigh(folder: Path) -> tuple[int, int]:
    """Bytes that the files of a folder take, of those that are only there and of those with other names too."""
    own = shared = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # goes just now
                found = os.lstat(Path(place) / name)
                if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                    shared += found.st_blocks * 512
                else:
                    own += found.st_blocks * 512
    return own, shared


def empty(store: RunStore, trashed: Iterable[Trashed]) -> Emptied:
    """Delete runs of the trash for good, files and rows. Commits durably, and ends what an earlier time has begun.

    Raises:
        BusyError: another process empties the trash of that folder.
        StoreError: the folder can't be written.
    """
    gone, left, freed = [], {}, 0
    runs = store.runs_path
    told = "another process empties the trash of this folder; try again when it has"
    with only_one(runs / "trash.lock", told=told):
        for one in trashed:
            try:
                _delete(store, one.run)
            except TrainerError as error:
                left[one.run.id] = str(error)
            except OSError as error:
                left[one.run.id] = f"{error.filename or one.run.id} can't be deleted ({error.strerror})"
            else:
                gone.append(one.run.id)
                freed += one.bytes - one.shared_bytes
        known = {run.id for run in store.runs()}
        for folder in runs.glob(f"{EMPTIED}*"):
            if folder.name.removeprefix(EMPTIED) not in known:
                _remove(folder)
    return Emptied(gone, freed, left)


def _delete(store: RunStore, run: Run) -> None:
    folder, going = run_dir(store.runs_path, run.id), emptied_dir(store.runs_path, run.id)
    if not folder.exists():  # lost, or moved away by an earlier time
        make_folder(going, exist_ok=True)
        try:
            _delete_rows(store, run)
        except UsageError:
            going.rmdir()
            raise
        _remove(going)
        return
    _refuse_used(store, run)  # before the lock, which asking would free
    lock = RunLock(store.runs_path, run.id)
    try:
        _refuse_taken_out(store, run)
        if going.exists():
            _remove(going)
        folder.rename(going)
        sync(store.runs_path)
        try:
            _delete_rows(store, run)
        except UsageError:  # it was taken out in the moment of the rename
            going.rename(folder)
            sync(store.runs_path)
            raise
        _remove(going)
    finally:
        lock.release()


def _refuse_taken_out(store: StoreReader, run: Run) -> None:
    if labels_of(store, run.id).trashed_at is None:
        raise UsageError(f"{run.name} was taken out of the trash meanwhile")


def _delete_rows(store: RunStore, run: Run) -> None:
    """Delete every row of a run, the one in `runs` last. Commits often, in the end durably."""
    query = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = ?"
    tables = sorted(row[0] for row in store._rows(query, ("run_id",)))
    with store._write():
        _refuse_taken_out(store, run)
    for table in tables:
        if table == "annotations":  # it is in the trash until the end
            continue
        some = f"SELECT rowid FROM {table} WHERE run_id = ? LIMIT {_ROWS_AT_ONCE}"
        is_left = True
        while is_left:
            with store._write() as connection:
                found = connection.execute(f"DELETE FROM {table} WHERE rowid IN ({some})", (run.id,)).rowcount
                is_left = found == _ROWS_AT_ONCE
    with store._write(durable=True) as connection:
        for table in tables:
            connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run.id,))
        connection.execute("DELETE FROM runs WHERE id = ?", (run.id,))


def _remove(folder: Path) -> None:
    """Delete a folder that is no run's any more; links in it are not followed."""
    shutil.rmtree(folder)
    sync(folder.parent)
