"""Connections to the run store: a writer through sqlite-utils, a reader through the standard library.

The reader does without sqlite-utils because importing it imports numpy (0.2 s), which the dashboard's first
frame must not wait for. It opens the file read-only and holds no transaction, so it can never make a writer
wait or fail: in WAL mode readers and the writer do not block each other (sqlite.org/wal.html). On a network file
system, where there is no WAL mode, they wait for each other up to the busy timeout.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.errors import StoreError, StoreVersionError
from trainer.sharing import lock_alone, open_lock
from trainer.store.filesystem import file_system_type, is_network, journal_mode_on
from trainer.store.frozen import read_only_address
from trainer.store.guard import WriteGuard
from trainer.store.hiding import without_pandas
from trainer.store.place import check_plain, make_or_refuse, share

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 7
"""Number of migrations that this version of the program knows (PRAGMA user_version)."""

BUSY_TIMEOUT_SECONDS = 30.0
_ROLLBACK_SECONDS, _ROLLBACK_PAUSE_SECONDS = 2.0, 0.02

_TELLING_COLUMNS = frozenset({"id", "name", "kind", "config", "lifecycle", "lifecycle_at", "created_at"})
"""Of `runs` since the first schema; a table of that name without them is another program's."""


def connect_reader(path: Path, *, timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> sqlite3.Connection:
    """A read-only connection whose rows can be read by column name.

    Args:
        path: of the store's file.
        timeout_seconds: how long a read waits for a lock. In WAL mode only recovery, a change of mode and the end
            of the last connection take one; on a network file system every commit does.

    Raises:
        StoreError: the file is not a database or cannot be read.
        StoreVersionError: it was made by a newer version.
    """
    check_plain(path)
    try:
        connection = sqlite3.connect(
            read_only_address(path), uri=True, isolation_level=None, timeout=timeout_seconds, check_same_thread=False
        )
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    connection.row_factory = sqlite3.Row
    try:
        _check_ours(connection, path)
        check_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise unreadable(path, error) from error
    except BaseException:
        connection.close()
        raise
    share(path)
    return connection


def connect_writer(path: Path) -> "tuple[Database, WriteGuard]":
    """A connection that may write, with the newest schema, and the guard to hold while it does.

    Metrics commit with synchronous=NORMAL: durable when the process dies, and consistent when the machine does. On a
    network file system the journal mode is DELETE, and all commits are synchronous=FULL.

    Raises:
        StoreError: the file is not a store or cannot be written, or it is in WAL mode on a network file system and
            another process has it open.
        StoreVersionError: it was made by a newer version.
    """
    with without_pandas():
        from sqlite_utils import Database

        from trainer.store.migrations import migrate
    _refuse_another_programs(path)
    make_or_refuse(path)
    kind = file_system_type(path)
    guard = WriteGuard(path, timeout_seconds=BUSY_TIMEOUT_SECONDS, is_shared_by_machines=is_network(kind))
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS, check_same_thread=False)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    connection.row_factory = sqlite3.Row
    try:
        _check_ours(connection, path)
        check_version(connection, path)
        connection.execute(f"PRAGMA synchronous={'FULL' if is_network(kind) else 'NORMAL'}")
        connection.execute("PRAGMA fullfsync=ON")  # macOS alone has a difference (sqlite.org/pragma.html)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        db = Database(connection)
        migrate(db, path, journal_mode_on(kind), guard)
        settle_journal_mode(connection, path, journal_mode_on(kind))
        guard.know()
        share(path)
    except sqlite3.Error as error:
        connection.close()
        raise unreadable(path, error) from error
    except OSError as error:
        connection.close()
        raise StoreError(
            f"{path.with_suffix('.lock')} cannot be locked ({error.strerror}); check the folder's permissions, or name "
            "a --runs-dir on a local disk"
        ) from error
    except BaseException:
        connection.close()
        raise
    return db, guard


def settle_journal_mode(connection: sqlite3.Connection, path: Path, wanted: str) -> None:
    """Bring a store that was made elsewhere, or by an older version, to the journal mode of its file system.

    A change of mode needs the store for itself. Where others have it open, one that could do with WAL stays as it is,
    which is only slower; one that must do without is refused, since going on could damage it.

    Raises:
        StoreError: it is in WAL mode on a network file system, and another process has it open.
    """
    if _journal_mode(connection) == wanted:
        return
    with open_lock(path.with_suffix(".lock")) as lock:
        lock_alone(lock, path.with_suffix(".lock"))
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            changed = str(connection.execute(f"PRAGMA journal_mode={wanted}").fetchone()[0]).upper()
        except sqlite3.OperationalError as error:
            if wanted == "WAL":
                return
            raise _refused_wal(path) from error
        finally:
            connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_TIMEOUT_SECONDS:.0f}")
    if changed != wanted == "DELETE":
        raise _refused_wal(path)


def set_journal_mode(connection: sqlite3.Connection, wanted: str) -> None:
    """Change the journal mode, which needs the file for itself for a moment and does not wait for it by itself.

    Raises:
        sqlite3.OperationalError: others did not let go of it in the busy timeout.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode={wanted}")
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(0.01)


def _refused_wal(path: Path) -> StoreError:
    return StoreError(
        f"{path} is in WAL mode on a network file system, where that can damage it, and another process has it open; "
        "end all trainers and dashboards of this folder and try again, or name a --runs-dir on a local disk"
    )


def _journal_mode(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0]).upper()


def _refuse_another_programs(path: Path) -> None:
    """See that a file is a store, by a connection that can't write: the end of a writer's moves what lies in a WAL.

    Raises:
        StoreError: it is none, or is of a newer version. What SQLite has against it the writer's connection will say,
            which can mend what a reader's can't, such as a journal that a crash has left.
    """
    check_plain(path)
    if not path.exists():
        return
    try:
        connect_reader(path).close()
    except StoreError as error:
        if not isinstance(error.__cause__, sqlite3.Error):
            raise


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """See that a file is empty or a store. Reads only.

    Raises:
        StoreError: it is the database of another program.
    """
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    others = {table for table in tables if not table.startswith(("sqlite_", "_sqlite_migrations"))}
    columns = {row[1] for row in connection.execute("PRAGMA table_info(runs)")} if "steps" in tables else set()
    ours = columns >= _TELLING_COLUMNS
    # The version is read after the tables: a trainer that is making the store commits both at once.
    if others and not (ours and check_version(connection, path)):
        raise StoreError(f"{path} is a database of another program; move it away, or name another --runs-dir")


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
def immediate(
    connection: sqlite3.Connection, *, durable: bool = False, guard: WriteGuard | None = None
) -> Iterator[sqlite3.Connection]:
    """One short write transaction that takes the write lock at its start.

    A deferred transaction that reads first and writes later fails at once with SQLITE_BUSY_SNAPSHOT when
    somebody else wrote in between, without waiting for the busy timeout (sqlite.org/isolation.html).

    Args:
        connection: of a writer.
        durable: also survive a power loss (synchronous=FULL for this commit).
        guard: of the store, to hold meanwhile.

    Raises:
        StoreError: the database refused, for example because the disk is full, or is damaged. Nothing was changed then.
    """
    with guard.held() if guard else nullcontext():
        try:
            if connection.in_transaction:  # one whose end failed too, on a disk that stayed full
                connection.execute("ROLLBACK")
            with _synchronous(connection, full=durable):
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    _roll_back(connection)
                    raise
        except sqlite3.Error as error:
            if guard and is_damage(error):
                raise unreadable(guard.path, error) from error
            raise StoreError(
                f"the run store could not be written ({error}); free some space or check the disk"
            ) from error
        if guard:
            guard.after_commit(connection)


def _roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed, also where the disk refuses that for a while.

    One that stayed open would keep every other connection from writing until this one is used again.
    """
    deadline = time.monotonic() + _ROLLBACK_SECONDS
    while connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            if time.monotonic() > deadline:
                return  # the next transaction of this connection tries again
            time.sleep(_ROLLBACK_PAUSE_SECONDS)


@contextmanager
def _synchronous(connection: sqlite3.Connection, *, full: bool) -> Iterator[None]:
    """Sync this commit too, whatever the connection does else."""
    if not full:
        yield
        return
    before = connection.execute("PRAGMA synchronous").fetchone()[0]
    connection.execute("PRAGMA synchronous=FULL")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA synchronous={before:d}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Reads of an open store; what SQLite says against them becomes a sentence, with SQLite's own error as its cause.

    Raises:
        StoreError: the file is locked, can't be read, or is damaged.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise unreadable(path, error) from error
        raise StoreError(f"{path} cannot be read now ({error}); check the file and its disk, and try again") from error
    except sqlite3.Error as error:
        raise unreadable(path, error) from error


def is_passing(error: StoreError) -> bool:
    """Whether an error in reading is one that may be over at the next try, such as a lock, and no damage."""
    return isinstance(error.__cause__, sqlite3.OperationalError) and not is_damage(error.__cause__)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file's pages are not what was written."""
    # The byte above the lowest tells kinds of damage apart; what Python itself says against a call has no code, and
    # text that is none is something that the store never wrote.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_CORRUPT or str(error).startswith("Could not decode to UTF-8")


def damaged(path: Path, reason: object) -> StoreError:
    """The sentence on a store whose pages are not what was written."""
    return StoreError(
        f"{path} is damaged ({reason}); `simclr-tui doctor` names the newest backup and rebuilds the run table from "
        f"checkpoints, `sqlite3 {path} .recover` saves what is left, and another --runs-dir starts anew"
    )


def unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    """The sentence on a file that SQLite refuses."""
    if is_damage(error):
        return damaged(path, error)
    return StoreError(
        f"{path} cannot be used as a run store ({error}); check the file and its folder, or name another --runs-dir"
    )
