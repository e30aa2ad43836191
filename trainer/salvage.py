"""Rows of a damaged store, as far as SQLite still gives them.

A page that is damaged costs the rows on it: those before and behind it are reached by their rowid, since the pages
that lead to a leaf name the rowids on either side of it (sqlite.org/fileformat2.html, §1.6). SQLite's own `.recover`
goes further, and is a program that is not always there.
"""

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trainer.adding import AddingStore
from trainer.manifest import is_whole
from trainer.paths import is_run_id
from trainer.store.records import LIFECYCLE, StepRow

TABLES = (
    "runs",
    "steps",
    "epochs",
    "metrics",
    "evaluations",
    "artifacts",
    "events",
    "annotations",
    "device_samples",
    "rank_samples",
    "benchmark_trials",
    "anatomy",
)
"""What is carried over. Buckets are made anew from the steps and rows of checkpoints from the files; commands and the
queue were meant for trainers that are gone."""

_LARGEST_ROWID = 2**63 - 1
_STEPS_AT_ONCE = 4096
_ROWS_AT_ONCE = 10_000


def rows_of(path: Path, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table of TABLES that can be read and belong to a run, in the order of their rowids. Reads only.

    Args:
        path: of a database that may be damaged in any way, with its write-ahead log beside it.
        table: one of TABLES; one that is not there has no rows.
    """
    assert table in TABLES, table
    try:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return
    with closing(connection):
        connection.row_factory = sqlite3.Row
        connection.text_factory = _as_text
        try:
            has_it = connection.execute(f"SELECT count(*) FROM pragma_table_info('{table}')").fetchone()[0]
        except sqlite3.Error:
            return
        if has_it:
            yield from filter(_is_sound(table), _readable(connection, table))


def _as_text(data: bytes) -> str:
    """Text in which a bit was flipped costs that letter and not its row."""
    return data.decode(errors="replace")


def _is_sound(table: str) -> Any:
    """Whether a row is one that the store could have held: damage that SQLite does not see makes any value of any."""
    if table != "runs":
        return lambda row: type(row.get("run_id")) is str and is_run_id(row["run_id"])
    return lambda row: (
        type(row.get("id")) is str
        and is_run_id(row["id"])
        and all(type(row.get(name)) is str for name in ("name", "kind", "config"))
        and "\N{REPLACEMENT CHARACTER}" not in row["config"]  # the manifests have it whole
        and row.get("lifecycle") in LIFECYCLE
        and all(type(row.get(name)) in (int, float) for name in ("created_at", "lifecycle_at"))
    )


def _readable(connection: sqlite3.Connection, table: str) -> Iterator[dict[str, Any]]:
    start, limit = 0, -1  # SQLite counts rowids from 1 unless it is told otherwise, which nobody here does
    while start <= _LARGEST_ROWID:
        asked_from = start
        try:
            for row in _ask(connection, table, start, limit=limit):
                start = row["rowid_"] + 1
                yield {name: row[name] for name in row.keys() if name != "rowid_"}  # noqa: SIM118 - a Row is no mapping
        except (sqlite3.Error, UnicodeDecodeError):
            hole = _hole(connection, table, start)
            if hole is None:
                return
            start += hole
            # The cursor asks for the next row before it gives this one, so the last one before damage comes alone.
            limit = 1 if hole == 0 else -1
        else:
            if limit == -1 or start == asked_from:
                return
            limit = -1


def _ask(connection: sqlite3.Connection, table: str, start: int, *, limit: int) -> sqlite3.Cursor:
    # An index may be damaged while the table is whole, so none is used.
    query = f"SELECT rowid AS rowid_, * FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT ?"
    return connection.execute(query, (start, limit))


def _hole(connection: sqlite3.Connection, table: str, start: int) -> int | None:
    """How many rowids must be passed over from one on to read again; None where nothing behind can be read."""
    if _can_read(connection, table, start):
        return 0
    high = 1
    while not _can_read(connection, table, start + high):
        high *= 2
        if start + high > _LARGEST_ROWID:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _can_read(connection, table, start + middle) else (middle, high)
    return high


def _can_read(connection: sqlite3.Connection, table: str, start: int) -> bool:
    try:
        _ask(connection, table, start, limit=1).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return False
    return True


def carry_over(damaged: Path, store: AddingStore) -> dict[str, int]:
    """Copy what can still be read of a damaged store, table by table; what is there already stays. Commits.

    Returns:
        How many rows of each table were added.
    """
    carried = dict.fromkeys(TABLES, 0)
    for table in TABLES:
        if table == "steps":
            continue
        found = rows_of(damaged, table)
        while rows := list(itertools.islice(found, _ROWS_AT_ONCE)):
            if table == "runs":
                store.forget_older(rows)
            carried[table] += store.add(table, rows)
    columns = StepRow.__dataclass_fields__
    waiting: dict[str, list[StepRow]] = {}
    for row in rows_of(damaged, "steps"):
        if not is_whole(row.get("step")) or not row["step"]:
            continue
        rows_of_run = waiting.setdefault(row["run_id"], [])
        values: dict[str, Any] = {name: row.get(name) for name in columns}
        rows_of_run.append(StepRow(**values))
        carried["steps"] += 1
        if len(rows_of_run) >= _STEPS_AT_ONCE:
            store.add_steps(row["run_id"], waiting.pop(row["run_id"]))
    for run_id, rest in waiting.items():
        store.add_steps(run_id, rest)
    return carried
