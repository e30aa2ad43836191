"""Looking for damage in a store, in a bounded time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.paths import store_file
from trainer.store.connect import damaged, is_damage
from trainer.store.reader import StoreReader

START_SECONDS = 3.0
"""How long the start of a trainer may be spent with looking; a gigabyte in memory takes about a second."""


def find_damage(connection: sqlite3.Connection, *, seconds: float | None = None) -> str | None:
    """What SQLite's quick_check says against a database, or None where it says nothing or was cut off.

    quick_check walks every page and row, and leaves out only the comparison of indexes with their tables
    (sqlite.org/pragma.html#pragma_quick_check).

    Args:
        connection: outside a transaction.
        seconds: after which it is cut off; None is never. What it had found by then is lost.
    """
    with interrupted_after(connection, seconds):
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
        except sqlite3.OperationalError as error:
            # Cut off, or a passing trouble of the disk or of a lock, of which the next read tells.
            return str(error) if is_damage(error) else None
        except sqlite3.Error as error:
            return str(error)
    lines = (" ".join(line.replace("*** in database main ***", "").split()) for line in found)
    return None if found == ["ok"] else "; ".join(lines)[:300]


@contextmanager
def interrupted_after(connection: sqlite3.Connection, seconds: float | None) -> Iterator[None]:
    """Have SQLite end what goes on in the block after a time; None is never."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def refuse_damaged(store: StoreReader, *, seconds: float = START_SECONDS) -> None:
    """See that a store is whole before a trainer builds on it, as far as that goes in the time.

    Raises:
        StoreError: it is damaged.
    """
    found = find_damage(store.connection, seconds=seconds)
    if found is not None:
        raise damaged(store_file(store.runs_path), found)
