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
    """What is wrong with a database, or None where nothing is found or the search was cut off.

    SQLite's quick_check walks every page and row, and leaves out only the comparison of indexes with their tables
    (sqlite.org/pragma.html#pragma_quick_check). It takes any bytes for text.

    Args:
        connection: outside a transaction.
        seconds: after which it is cut off; None is never. What it had found by then is lost.
    """
    with interrupted_after(connection, seconds):
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
            found = [*bad_text(connection)] or found if found == ["ok"] else found
        except sqlite3.OperationalError as error:
            # Cut off, or a passing trouble of the disk or of a lock, of which the next read tells.
            return str(error) if is_damage(error) else None
        except sqlite3.Error as error:
            return str(error)
    lines = (" ".join(line.replace("*** in database main ***", "").split()) for line in found)
    return None if found == ["ok"] else "; ".join(lines)[:300]


def bad_text(connection: sqlite3.Connection) -> Iterator[str]:
    """A sentence for each column of text in which something is no text, as a flipped bit leaves it. Reads only.

    Raises:
        sqlite3.Error: the tables can't be read.
    """
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = [
        (table, row[1])
        for table in tables
        for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")
        if str(row[2]).upper() == "TEXT"
    ]
    before = connection.text_factory
    connection.text_factory = bytes
    try:
        for table, column in columns:
            # What is no text at all was put there by somebody, and spoils no other row.
            query = f"SELECT DISTINCT {_quoted(column)} FROM {_quoted(table)} WHERE typeof({_quoted(column)}) = 'text'"
            if not all(_is_text(row[0]) for row in connection.execute(query)):
                yield f"column {column} of table {table} has text that is none"
    finally:
        connection.text_factory = before


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_text(value: object) -> bool:
    try:
        if isinstance(value, bytes):
            value.decode()
    except UnicodeDecodeError:
        return False
    return True


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
