"""Connections to the run store: a writer through sqlite-utils, a reader through the standard library.

The reader does without sqlite-utils because importing it imports numpy (0.2 s), which the dashboard's first
frame must not wait for. It opens the file read-only and holds no transaction, so it can never make a writer
wait or fail: in WAL mode readers and the writer do not block each other (sqlite.org/wal.html).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from trainer.errors import StoreError, StoreVersionError

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 3
"""Number of migrations that this version of the program knows (PRAGMA user_version)."""

BUSY_TIMEOUT_SECONDS = 30.0


def connect_reader(path: Path, *, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> sqlite3.Connection:
    """A read-only connection whose rows can be read by column name.

    Args:
        path: of the store's file.
        timeout_seconds: how long a read waits for a lock, which in WAL mode only recovery and a change of mode take.

    Raises:
        StoreError: the file is not a database or cannot be read.
        StoreVersionError: it was made by a newer version.
    """
    address = f"file:{quote(str(path))}?mode=ro"
    try:
        connection = sqlite3.connect(
            address, uri=True, isolation_level=None, timeout=timeout_seconds, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    connection.row_factory = sqlite3.Row
    try:
        check_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unreadable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def connect_writer(path: Path) -> "Database":
    """A connection that may write, in WAL mode, with the newest schema.

    Metrics commit with synchronous=NORMAL: durable when the process dies, and consistent when the machine does.

    Raises:
        StoreError: the file is not a database or cannot be written.
        StoreVersionError: it was made by a newer version.
    """
    from sqlite_utils import Database

    from trainer.store.migrations import migrate

    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    connection.row_factory = sqlite3.Row
    try:
        check_version(connection, path)
        connection.execute("PRAGMA synchronous=NORMAL")
        db = Database(connection)
        migrate(db, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unreadable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return db


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version of an open store. Reads only.

    Raises:
        StoreVersionError: it is newer than this program.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path} was made by a newer version of simclr-tui (schema {version}, this one knows "
            f"{SCHEMA_VERSION}); upgrade simclr-tui or name another --runs-dir"
        )
    return version


@contextmanager
def immediate(connection: sqlite3.Connection, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
    """One short write transaction that takes the write lock at its start.

    A deferred transaction that reads first and writes later fails at once with SQLITE_BUSY_SNAPSHOT when
    somebody else wrote in between, without waiting for the busy timeout (sqlite.org/isolation.html).

    Args:
        connection: of a writer.
        durable: also survive a power loss (synchronous=FULL for this commit).

    Raises:
        StoreError: the database refused, for example because the disk is full. Nothing was changed then.
    """
    try:
        if durable:
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            if durable:
                connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error as error:
        raise StoreError(f"the run store could not be written ({error}); free some space or check the disk") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Reads of an open store; what SQLite says against them becomes a sentence, with SQLite's own error as its cause.

    Raises:
        StoreError: the file is locked, can't be read, or is damaged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} cannot be read now ({error}); check the file and its disk, and try again") from error
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def is_passing(error: StoreError) -> bool:
    """Whether an error in reading is one that may be over at the next try, such as a lock, and no damage."""
    return isinstance(error.__cause__, sqlite3.OperationalError)


def _unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    # The byte above the lowest tells kinds of damage apart; what Python itself says against a call has no code.
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
        return StoreError(
            f"{path} is damaged ({error}); put a copy back, save what is left with `sqlite3 {path} .recover`, or name "
            "another --runs-dir"
        )
    return StoreError(
        f"{path} cannot be used as a run store ({error}); check the file and its folder, or name another --runs-dir"
    )
