"""The store: whether it is one, of which version, whole, and with a backup. Reads only."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from trainer.doctor.check import Check, listed
from trainer.paths import store_file
from trainer.room import size
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.damage import bad_text
from trainer.store.frozen import is_frozen, read_only_address
from trainer.store.guard import wal_file

RESTORE = "`simclr-tui doctor --restore` puts the newest backup back"
REBUILD = "`simclr-tui doctor --rebuild` makes a new one of what is left and of the checkpoints"

_LARGE_WAL_BYTES = 64 << 20
_QUICK_ABOVE_BYTES = 1 << 30
_HEADER = b"SQLite format 3\0"
_COLUMNS = frozenset({"id", "name", "kind", "config", "created_at", "lifecycle"})
"""Columns of `runs` in every version of the schema."""


def connect(path: Path) -> sqlite3.Connection:
    """A read-only connection to a file, whatever it is.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    return sqlite3.connect(read_only_address(path), uri=True, isolation_level=None, timeout=5.0)


def kind_of(path: Path) -> str:
    """What lies in the place of the store: missing, empty, not-a-file, unreadable, not-a-database, damaged, making,
    foreign, newer, or store.

    A store that is damaged further on may still be called a store here.
    """
    if not os.path.lexists(path):
        return "missing"
    if not path.is_file():
        return "not-a-file"
    try:
        with path.open("rb") as file:
            head = file.read(len(_HEADER))
    except OSError:
        return "unreadable"
    if not head:
        return "empty"
    if head != _HEADER:
        return "not-a-database"
    try:
        with closing(connect(path)) as connection:
            return _kind_of_database(connection)
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return "damaged" if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else "unreadable"


def _kind_of_database(connection: sqlite3.Connection) -> str:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not tables and not version:
        return "making"
    columns = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
    if not columns >= _COLUMNS:
        return "foreign"
    return "newer" if version > SCHEMA_VERSION else "store"


def checks(runs: Path, *, quick: bool) -> Iterator[Check]:
    """Everything about the store.

    Args:
        runs: the runs folder.
        quick: look for damage without comparing tables and their indexes.
    """
    path = store_file(runs)
    kind = kind_of(path)
    if kind == "store":
        with closing(connect(path)) as connection:
            yield from _schema(connection)
            yield integrity(connection, path, quick=quick)
        yield from _write_ahead_log(path)
        return
    yield _no_store(path, kind)


def _no_store(path: Path, kind: str) -> Check:
    another = f"move {path} away, or name another --runs-dir"
    match kind:
        case "missing":
            return Check("store", "ok", f"{path} is not there yet; the first run makes it")
        case "making":
            return Check("store", "ok", f"{path} has no table yet; the first run makes them")
        case "empty":
            words = f"{path} has 0 bytes"
            return Check("store", "warn", words, f"nothing if no run was ever made here; else {RESTORE}, or {REBUILD}")
        case "newer":
            words = f"{path} was made by a newer version of simclr-tui"
            return Check("store", "bad", words, "upgrade simclr-tui, or name another --runs-dir")
        case "foreign":
            return Check("store", "bad", f"{path} is the database of another program", another)
        case "not-a-file":
            return Check("store", "bad", f"{path} is no file", another)
        case "unreadable":
            words = f"{path} can't be read now"
            return Check(
                "store", "bad", words, f"check its permissions and its disk, and look who uses it; or {RESTORE}"
            )
    return Check("store", "bad", f"{path} is damaged: SQLite can't read it", f"{RESTORE}; without one, {REBUILD}")


def _schema(connection: sqlite3.Connection) -> Iterator[Check]:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    words = f"schema {version}"
    if version < SCHEMA_VERSION:
        words += f"; the next trainer or command that writes brings it to {SCHEMA_VERSION}"
    yield Check("schema", "ok", words)


def integrity(connection: sqlite3.Connection, path: Path, *, quick: bool) -> Check:
    """What SQLite's own examination says."""
    file_bytes = path.stat().st_size
    pragma = "quick_check" if quick or file_bytes > _QUICK_ABOVE_BYTES else "integrity_check"
    try:
        found = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}(20)")]
        found = [*bad_text(connection)] or found if found == ["ok"] else found
    except sqlite3.DatabaseError as error:
        found = [str(error)]
    if found == ["ok"]:
        return Check("integrity", "ok", f"{pragma} of {size(file_bytes)} finds nothing")
    words = listed((" ".join(line.replace("*** in database main ***", "").split()) for line in found), most=2)
    return Check("integrity", "bad", f"{path} is damaged: {words[:300]}", f"{RESTORE}; without one, {REBUILD}")


def _write_ahead_log(path: Path) -> Iterator[Check]:
    try:
        file_bytes = wal_file(path).stat().st_size
    except OSError:
        file_bytes = 0
    if file_bytes > _LARGE_WAL_BYTES:
        words = f"{size(file_bytes)} wait in {path.name}-wal, since some reader holds on to an old state"
        yield Check("write-ahead log", "warn", words, "close dashboards and other programs that read the store")
    else:
        yield Check("write-ahead log", "ok", f"{size(file_bytes)} wait to be copied into the store")


def journal(path: Path, *, is_network: bool | None) -> Iterator[Check]:
    """The way of writing against the place: WAL on a local disk, a rollback journal where memory can't be shared."""
    if kind_of(path) != "store":
        return
    with closing(connect(path)) as connection:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    mode = "wal" if is_frozen(path) else mode  # one that is opened as unchanging says something else of itself
    if mode == "wal" and is_network:
        words = "WAL, on a network file system, where it can be damaged (sqlite.org/wal.html)"
        yield Check("journal", "bad", words, "stop all runs and move the runs folder to a local disk")
    elif mode == "wal" or is_network:
        yield Check("journal", "ok", mode.upper())
    else:
        words = f"{mode.upper()} instead of WAL, so that readers and the trainer wait for each other"
        yield Check("journal", "warn", words, "the next trainer changes it back, unless the disk refuses it")


def newest_event_at(runs: Path) -> float | None:
    """UTC seconds of the newest event of the store, or None where there is none to be read."""
    path = store_file(runs)
    if kind_of(path) != "store":
        return None
    try:
        with closing(connect(path)) as connection:
            found = connection.execute("SELECT max(at) FROM events").fetchone()[0]
    except sqlite3.Error:
        return None
    return float(found) if isinstance(found, int | float) else None


def backup(newest_at: float | None, *, has_runs: bool, now: float | None = None) -> Check:
    """The age of the newest backup.

    Args:
        newest_at: UTC seconds at which it was made, or None.
        has_runs: whether there is anything to be backed up.
        now: UTC seconds, by default the clock's.
    """
    now = time.time() if now is None else now
    if newest_at is None:
        words = "there is none yet" if has_runs else "there is none, and no run yet"
        remedy = "trainers make one now and then; until then `simclr-tui doctor --rebuild` is what there is"
        return Check("backup", "warn" if has_runs else "ok", words, remedy if has_runs else "")
    days = (now - newest_at) / 86_400
    age = f"{days:.0f} days" if days >= 2 else f"{24 * days:.1f} hours"
    return Check("backup", "ok", f"the newest is {age} old")
