"""Backups of the store: a checked copy beside it every few hours of training, and the way back.

runs/backups/runs.db             the newest
runs/backups/runs.previous.db    the one before
runs/runs.db.damaged-TIME        what a restore set aside
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.durable import sync
from trainer.errors import BusyError, StoreError
from trainer.paths import store_file
from trainer.process import live_trainers
from trainer.sharing import create_anew, lock_alone, make_folder, open_lock
from trainer.store.connect import BUSY_TIMEOUT_SECONDS, connect_reader, damaged, unreadable
from trainer.store.damage import find_damage
from trainer.store.guard import WriteGuard

_BESIDE = ("-wal", "-shm", "-journal")
_ROOM_BYTES = 16 * 2**20
_PAGES_AT_ONCE = 256
_NAP_SECONDS = 0.005
"""Between a mebibyte and the next, so that a copy takes neither a core nor the disk from training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Backup:
    """A copy of a store: where it lies, when it was made (UTC seconds) and its size."""

    path: Path
    at: float
    bytes: int


def backups(runs: Path) -> list[Backup]:
    """The backups of a runs folder, the newest first, without looking into them.

    Their names tell which is newer: times of files are lost by copying a folder, and wrong where the clock was.
    """
    found = []
    for path in (_folder(runs) / "runs.db", _folder(runs) / "runs.previous.db"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append(Backup(path=path, at=status.st_mtime, bytes=status.st_size))
    return found


def latest_backup(runs: Path) -> Backup | None:
    """The newest backup that is whole, or None. Reads all of it."""
    return next((one for one in backups(runs) if _trouble_with(one.path) is None), None)


def backup(runs: Path) -> Backup:
    """Copy the store as it is at this moment, check the copy, and keep it beside the backup before.

    Readers and writers go on meanwhile. On a network file system, where the store has no write-ahead log, writers
    wait until it is done.

    Raises:
        StoreError: the store can't be read or is damaged, or the disk has no room; the backups there stay.
        BusyError: another process is making one.
    """
    path, folder = store_file(runs), _folder(runs)
    with _telling_of_the_disk(folder):
        make_folder(folder, exist_ok=True)
        with open_lock(folder / "backup.lock") as lock:
            _take(lock.fileno(), folder)
            _check_room(path, folder)
            temporary = folder / "runs.db.tmp"
            try:
                _copy(path, temporary)
                _check_copy(path, temporary)
                sync(temporary)
                newest = folder / "runs.db"
                if newest.exists():
                    newest.replace(folder / "runs.previous.db")
                temporary.replace(newest)
                sync(folder)
            finally:
                for suffix in ("", *_BESIDE):
                    temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
    return backups(runs)[0]


def restore_backup(runs: Path, chosen: Backup | None = None) -> Path | None:
    """Put a backup in the place of the store; where what lay there was set aside, or None if nothing did.

    The write-ahead log goes with the file that it belongs to: left behind, it would be played onto the backup
    (sqlite.org/howtocorrupt.html §1.4). Dashboards notice that the file is another and open it again.

    Args:
        runs: the runs folder.
        chosen: the backup, by default the newest that is whole.

    Raises:
        StoreError: there is no whole backup, or no room; the store is as it was.
        BusyError: a trainer of the folder lives.
    """
    source = chosen or latest_backup(runs)
    if source is None:
        raise StoreError(
            f"{_folder(runs)} has no backup that is whole; `simclr-tui doctor --rebuild` restores the run table from "
            "checkpoints"
        )
    path, temporary = store_file(runs), runs / "runs.db.restoring"
    _refuse_live(runs)
    with _telling_of_the_disk(runs), open_lock(path.with_suffix(".lock")) as lock:
        lock_alone(lock, path.with_suffix(".lock"))
        try:
            os.close(create_anew(temporary))
            shutil.copyfile(source.path, temporary)
            trouble = _trouble_with(temporary)
            if trouble is not None:
                raise damaged(source.path, trouble)
            sync(temporary)
            with WriteGuard(path, timeout_seconds=BUSY_TIMEOUT_SECONDS).held():
                _refuse_live(runs)
                aside = _set_aside(path)
                temporary.replace(path)
                sync(runs)
        finally:
            temporary.unlink(missing_ok=True)
    return aside


def _folder(runs: Path) -> Path:
    return runs / "backups"


def _take(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BusyError(f"another process is making a backup in {folder}; try again when it is done") from error


def _check_room(path: Path, folder: Path) -> None:
    try:
        needed = path.stat().st_size + _ROOM_BYTES
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); there is nothing to back up") from error
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StoreError(
            f"{folder} has {free / 1e6:,.0f} MB free and a backup of the store needs {needed / 1e6:,.0f} MB; free some "
            "space"
        )


def _copy(path: Path, temporary: Path) -> None:
    """Copy one state of a store with SQLite's online backup API (sqlite.org/backup.html)."""
    with closing(connect_reader(path)) as source:
        try:
            is_wal = source.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            # A read transaction, in which the state stays the same: else each commit would begin the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            os.close(create_anew(temporary))
            with closing(sqlite3.connect(temporary, isolation_level=None)) as target:
                target.execute("PRAGMA journal_mode=OFF")
                target.execute("PRAGMA synchronous=OFF")
                source.backup(target, pages=_PAGES_AT_ONCE if is_wal else -1, sleep=_NAP_SECONDS)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(temporary)) from error
            raise unreadable(path, error) from error
        except sqlite3.Error as error:
            raise unreadable(path, error) from error


def _check_copy(path: Path, temporary: Path) -> None:
    """See that a copy is whole, and make it one file that needs no log beside it.

    Raises:
        StoreError: it is damaged, and hence the store.
    """
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode=DELETE")
            found = find_damage(copy)
    except sqlite3.Error as error:
        found = str(error)
    if found is not None:
        raise damaged(path, found)


def _trouble_with(path: Path) -> str | None:
    """What is wrong with a backup, or None. Nothing is written beside it."""
    try:
        with closing(connect_reader(path)) as connection:
            return find_damage(connection)
    except StoreError as error:
        return str(error)


def _set_aside(path: Path) -> Path | None:
    """Rename what lies in the store's place, its log first; never deletes. The place is not empty for a moment."""
    if not path.exists():
        return None
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (path.with_name(f"{path.name}.damaged-{moment}{more}") for more in ("", *(f".{n}" for n in range(2, 1000))))
    aside = next(name for name in names if not name.exists())
    for suffix in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    try:
        aside.hardlink_to(path)
    except OSError:  # a file system without hard links
        path.replace(aside)
    return aside


def _refuse_live(runs: Path) -> None:
    for run_id, _ in live_trainers(runs):
        raise BusyError(f"run {run_id} has a live trainer; `simclr-tui stop {run_id}` ends it, then try again")


@contextmanager
def _telling_of_the_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{folder} cannot take a copy of the store ({error.strerror}); free some space or check its permissions"
        ) from error
