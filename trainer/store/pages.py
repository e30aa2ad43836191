"""Whole tables of a run, a page at a time: for whoever takes all of it somewhere else.

Each page is a read of its own, found by the key of the last row before it, so that a run of a million steps takes the
memory of one page, and no transaction stays open that would keep the write-ahead log from being emptied.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from trainer.paths import store_file
from trainer.store.connect import damaged
from trainer.store.reader import StoreReader

PAGE_ROWS = 5000

Key = tuple[Any, ...]
"""The values of the columns that order a table, in one row."""

KEYS: dict[str, tuple[str, ...]] = {
    "steps": ("step",),
    "epochs": ("epoch",),
    "metrics": ("name", "step"),
    "device_samples": ("at", "id"),
    "rank_samples": ("at", "id"),
    "evaluations": ("rowid",),
    "anatomy": ("rowid",),
    "benchmark_trials": ("rowid",),
    "events": ("id",),
    "checkpoints": ("step",),
    "artifacts": ("rowid",),
    "annotations": ("rowid",),
}
"""The tables with rows of runs, and the columns after `run_id` in whose order their rows come."""

_NAN = {"steps": ("loss", "acc_top1", "acc_top5", "acc_mean_pos", "grad_norm"), "metrics": ("value",)}
"""Columns that are measured in every row, so that NULL says that the value was not finite."""

_OWN = ("run_id", "id")
"""Columns that say nothing outside the store."""

_TYPES: dict[type, frozenset[type]] = {
    int: frozenset({int, type(None)}),
    float: frozenset({float, int, type(None)}),
    str: frozenset({str, type(None)}),
}


def kinds_of(reader: StoreReader, table: str) -> dict[str, type]:
    """The columns of a table in their order, each with int, float or str; empty where an older schema lacks it.

    The run's id and numbers that only count rows of this store are left out.
    """
    assert table in KEYS, table
    rows = reader._rows(f"PRAGMA table_info({table})")
    return {row["name"]: _kind(row["type"]) for row in rows if row["name"] not in _OWN}


def _kind(declared: str) -> type:
    return {"INTEGER": int, "TEXT": str}.get(declared.upper(), float)


def pages(
    reader: StoreReader, table: str, run_id: str, *, rows: int = PAGE_ROWS, with_nan: bool = False
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a run in a table, in pages; the values of a row are those of `kinds_of`, in that order. Reads only.

    Args:
        reader: the store.
        table: one of KEYS.
        run_id: the run.
        rows: of a page, at most.
        with_nan: give NaN where a value was measured and not finite, which the store holds as NULL.

    Raises:
        StoreError: the store can't be read, or holds a value of another type than its column.
    """
    kinds = kinds_of(reader, table)
    last: Key = ()
    while kinds:
        found = page(reader, table, run_id, kinds, after=last, rows=rows, with_nan=with_nan)
        if not found:
            return
        last = found[-1][1]
        yield [row for row, _ in found]


def page(
    reader: StoreReader,
    table: str,
    run_id: str,
    kinds: Mapping[str, type],
    *,
    key: tuple[str, ...] = (),
    after: Key = (),
    rows: int = PAGE_ROWS,
    with_nan: bool = False,
) -> list[tuple[tuple[Any, ...], Key]]:
    """The rows of a run that come after a key, each with its own key. Reads only.

    Args:
        reader: the store.
        table: one of KEYS.
        run_id: the run.
        kinds: its columns, from `kinds_of`.
        key: the columns in whose order they come, by default those of KEYS.
        after: the key of the last row that is known, empty for none.
        rows: at most.
        with_nan: give NaN where a value was measured and not finite, which the store holds as NULL.

    Raises:
        StoreError: the store can't be read, or holds a value of another type than its column.
    """
    key = key or KEYS[table]
    order, width = ", ".join(key), len(kinds)
    chosen = f"SELECT {', '.join(kinds)}, {order} FROM {table} WHERE run_id = ?"
    above = f" AND ({order}) > ({', '.join('?' * len(key))})" if after else ""
    found = reader._rows(f"{chosen}{above} ORDER BY {order} LIMIT ?", (run_id, *after, rows))
    if not found:
        return []
    values = [tuple(row)[:width] for row in found]
    _check(reader, table, kinds, values)
    nan_at = [place for place, name in enumerate(kinds) if with_nan and name in _NAN.get(table, ())]
    if nan_at:
        values = [_nan(row, nan_at) for row in values]
    return [(value, tuple(row)[width:]) for value, row in zip(values, found, strict=True)]


def _nan(row: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    return tuple(math.nan if value is None and place in places else value for place, value in enumerate(row))


def _check(reader: StoreReader, table: str, kinds: Mapping[str, type], rows: list[tuple[Any, ...]]) -> None:
    """SQLite stores any type in any column."""
    for (name, kind), column in zip(kinds.items(), zip(*rows, strict=True), strict=True):
        wrong = set(map(type, column)) - _TYPES[kind]
        if wrong:
            reason = f"{name} of a row of {table} is of type {min(one.__name__ for one in wrong)}"
            raise damaged(store_file(reader.runs_path), reason)
