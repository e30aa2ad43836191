"""Anybody's own question to the store, in SQL. It can only read, whatever it says, and not for long.

SQLite's authorizer decides what a statement may do before it does any of it (sqlite.org/c3ref/set_authorizer.html);
a connection that only reads would still attach another file and write that one.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from trainer.errors import UsageError
from trainer.paths import store_file
from trainer.quote import quoted
from trainer.store.connect import is_damage, unreadable
from trainer.store.reader import StoreReader

MOST_ROWS = 1_000_000
"""They are all in memory before the first is shown, beside a training that needs it."""

_INSTRUCTIONS = 10_000
"""Of SQLite's virtual machine between two looks at the clock: some tenths of a millisecond."""

_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_LISTED = """
    SELECT m.name AS "table", group_concat(c.name, ' ') AS columns
    FROM sqlite_schema m JOIN pragma_table_info(m.name) c
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE '%sqlite_%'
    GROUP BY m.name ORDER BY m.name
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows that a statement gave, under the names of their columns."""

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]


def tables(reader: StoreReader) -> Answer:
    """The tables of a store, each with the names of its columns."""
    return Answer(("table", "columns"), [tuple(row) for row in reader._rows(_LISTED)])


def query(reader: StoreReader, statement: str, *, seconds: float) -> Answer:
    """What a statement gives. Reads only.

    Args:
        reader: the store.
        statement: one SELECT, WITH … SELECT or VALUES.
        seconds: after so many it is cut off, since the writers' journal (-wal) grows as long as it is being answered.

    Raises:
        UsageError: it is none, would do something else than read, names what there is not, takes too long or gives
            too much.
        StoreError: the file is damaged or can't be read.
    """
    with _guarded(reader.connection, seconds) as end:
        try:
            cursor = reader.connection.cursor()
            cursor.row_factory = None
            rows = cursor.execute(statement).fetchmany(MOST_ROWS + 1)
            names = [column[0] for column in cursor.description or ()]
            cursor.close()  # ends the read; there may be more rows
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # UnicodeEncodeError among the last
            raise _refusal(reader, statement, error, is_late=time.monotonic() >= end, seconds=seconds) from error
    if not names:
        raise UsageError("the query is empty; give a SELECT, or nothing for the list of tables")
    if len(rows) > MOST_ROWS:
        raise UsageError(f"the query gives more than {MOST_ROWS:,} rows; add a LIMIT, or take runs out by `export`")
    return Answer(names, rows)


@contextmanager
def _guarded(connection: sqlite3.Connection, seconds: float) -> Iterator[float]:
    """Let a connection do nothing but read, and that not beyond a moment of the monotonic clock."""
    end = time.monotonic() + seconds

    def judge(action: int, *_: str | None) -> int:
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    connection.set_authorizer(judge)
    connection.set_progress_handler(lambda: time.monotonic() >= end, _INSTRUCTIONS)
    try:
        yield end
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)


def _refusal(reader: StoreReader, statement: str, error: Exception, *, is_late: bool, seconds: float) -> Exception:
    """What SQLite says against a statement, as a sentence that says what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.Error) and is_damage(error):
        return unreadable(store_file(reader.runs_path), error)
    if code == sqlite3.SQLITE_INTERRUPT and is_late:
        return UsageError(
            f"the query took longer than {seconds:g} s and was ended; ask for less, or give it longer with --seconds"
        )
    if code == sqlite3.SQLITE_AUTH:
        return UsageError("a query only reads and this one would do something else; give one SELECT")
    if "one statement" in str(error):
        return UsageError("a query is one statement; give one SELECT")
    return UsageError(
        f"{quoted(statement)} can't be answered ({error}); `simclr-tui query` alone lists the tables and their columns"
    )
