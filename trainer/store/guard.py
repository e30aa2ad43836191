"""One process at a time writes a store or checkpoints its write-ahead log, which a lock file beside it sees to.

SQLite from 3.7.0 to 3.51.2 can corrupt a database when one connection begins a checkpoint of a log that has been
copied back already while another commits and starts the log anew (sqlite.org/wal.html#walresetbug). Here nobody
commits during a checkpoint: no connection checkpoints by itself (`wal_autocheckpoint=0`), and whoever writes or
checkpoints holds `runs.write.lock`. It is done alike on every SQLite, since it also has writers wait for each other
less long than SQLite's own busy handler would, whose naps grow to a tenth of a second.
"""

import contextlib
import fcntl
import math
import os
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import StoreError, StoreLostError
from trainer.sharing import lock_descriptor

CHECKPOINT_BYTES = 4 * 2**20
"""Size of the write-ahead log from which it is copied back into the store, as SQLite's own 1,000 pages."""

LOOK_SECONDS = 1.0
LOOK_COMMITS = 256
"""How long, and over how many commits of a connection, the size of the log is not looked at."""

IN_VAIN_SECONDS = 0.5
"""How long a turn is waited for after one that did not come, until one does: beside a trainer that was stopped in the
middle of a write the others go on training."""

_SHORTEST_NAP_SECONDS = 0.0002
_LONGEST_NAP_SECONDS = 0.005


def has_wal_reset_bug(version: Sequence[int]) -> bool:
    """Whether that version of SQLite has the WAL-reset bug: 3.7.0 to 3.51.2, and 3.52.0 is counted as well.

    SQLite's change log names 3.51.3 and 3.53.0 as fixed, and 3.52.0 was withdrawn. The back-ports 3.44.6 and 3.50.7
    are named by other projects only; since the guard costs nothing they count as affected.
    """
    return (3, 7, 0) <= tuple(version) < (3, 51, 3) or (3, 52, 0) <= tuple(version) < (3, 53, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class SqliteHealth:
    """The SQLite library that this process uses, and what is done about it."""

    version: str
    has_wal_reset_bug: bool
    sentence: str


def sqlite_health(version: Sequence[int] = sqlite3.sqlite_version_info) -> SqliteHealth:
    """What to say about a version of SQLite, by default this process's."""
    name, affected = ".".join(map(str, version)), has_wal_reset_bug(version)
    sentence = (
        f"SQLite {name} has the WAL-reset bug (fixed in 3.51.3); the store is safe from it, since one connection at a "
        "time writes or checkpoints: open it read-only with other programs"
        if affected
        else f"SQLite {name} does not have the WAL-reset bug"
    )
    return SqliteHealth(version=name, has_wal_reset_bug=affected, sentence=sentence)


def wal_file(path: Path) -> Path:
    """The write-ahead log of a store's file."""
    return path.with_name(path.name + "-wal")


class WriteGuard:
    """Lets one connection of all processes write or checkpoint a store, and keeps its write-ahead log short.

    The lock file is opened anew for each turn: a descriptor that stayed open would be inherited by loader workers,
    and one that is stuck would hold the lock of a trainer that was killed.
    """

    def __init__(self, path: Path, *, timeout_seconds: float, is_shared_by_machines: bool = False) -> None:
        """Args: the store's file, how long a turn is waited for, and whether it lies on a network file system, where
        there is no write-ahead log and SQLite's own locks do."""
        self.path = path
        self._lock_path = path.with_suffix(".write.lock")
        self.timeout_seconds = timeout_seconds
        self._is_idle = is_shared_by_machines
        self._has_waited_in_vain = False
        self._log = wal_file(path)
        self._known: dict[Path, tuple[int, int]] = {}
        self._commits = 0
        self._looked_at = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who writes.

        Raises:
            StoreError: another process has been writing for too long, or the lock file can't be opened.
            StoreLostError: the store is not the one any more that was opened.
        """
        if self._is_idle:
            yield
            return
        try:
            descriptor = lock_descriptor(self._lock_path)
        except OSError as error:
            raise StoreError(
                f"{self._lock_path} cannot be opened ({error.strerror}); check the folder's permissions and its disk"
            ) from error
        try:
            self._wait(descriptor)
            try:
                self._look_for_files()
                yield
            finally:
                # A worker that was forked meanwhile has the descriptor too, so that closing it would not do.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def know(self) -> None:
        """Remember which file was opened. From then on a store that is another one is refused."""
        status = self.path.stat()
        self._known[self.path] = (status.st_dev, status.st_ino)

    def _look_for_files(self) -> None:
        """See that the store and its log are the files that this connection has open (howtocorrupt.html §4).

        SQLite would go on writing into a file that has no name any more. The log lasts as long as anybody has the
        store open, so it may only come once.
        """
        if not self._known:
            return
        for path in (self.path, self._log):
            try:
                status = path.stat()
            except OSError:
                status = None
            found = (status.st_dev, status.st_ino) if status is not None else None
            is_emptied = path == self.path and status is not None and status.st_size == 0
            if found != self._known.get(path, found) or is_emptied:
                raise StoreLostError(
                    f"{path} was removed, replaced or emptied while it was open, so nothing more can be recorded; put "
                    "it back or run `simclr-tui doctor --rebuild`, then resume from the last checkpoint"
                )
            if found is not None:
                self._known[path] = found

    def _wait(self, descriptor: int) -> None:
        waits_seconds = min(self.timeout_seconds, IN_VAIN_SECONDS if self._has_waited_in_vain else math.inf)
        deadline = time.monotonic() + waits_seconds
        nap = _SHORTEST_NAP_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    self._has_waited_in_vain = True
                    raise StoreError(
                        f"{self.path} could not be written: another process has held {self._lock_path.name} for "
                        f"{self.timeout_seconds:.0f} s; look for one that is stopped (state T in `ps`) and end it"
                    ) from error
            except OSError as error:
                raise StoreError(
                    f"{self._lock_path} cannot be locked ({error.strerror}); name a --runs-dir on a local disk"
                ) from error
            else:
                self._has_waited_in_vain = False
                return
            time.sleep(nap * random.uniform(0.5, 1.0))  # so that two do not nap in step
            nap = min(1.5 * nap, _LONGEST_NAP_SECONDS)

    def after_commit(self, connection: sqlite3.Connection) -> None:
        """Copy the log back into the store if it has grown long. Call with the guard held, outside a transaction."""
        self._commits += 1
        if self._is_idle or (self._commits < LOOK_COMMITS and time.monotonic() - self._looked_at < LOOK_SECONDS):
            return
        self._commits, self._looked_at = 0, time.monotonic()
        try:
            if wal_file(self.path).stat().st_size < CHECKPOINT_BYTES:
                return
        except OSError:
            return
        self.checkpoint(connection)

    def checkpoint(self, connection: sqlite3.Connection) -> bool:
        """Copy back what no reader needs any more, and empty the log if that was all; whether it was.

        Waits for no reader: what one still needs stays for the next time. Call with the guard held.
        """
        # A refusal (a full disk) leaves the log as it is, and the rows in it are committed.
        with contextlib.suppress(sqlite3.Error):
            waits = connection.execute("PRAGMA busy_timeout").fetchone()[0]
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                return bool(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            finally:
                connection.execute(f"PRAGMA busy_timeout = {waits:d}")
        return False
