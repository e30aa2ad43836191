"""Long series: rows as they were logged, and the buckets beside them that charts read.

A bucket holds minimum, maximum, mean, last value and count of 16, 256, 4,096 or 65,536 steps, so that a chart of
W columns reads about W buckets however long the run is, and no spike is lost to sampling. Each size is made from
the one below, so that bringing the buckets of a second up to date touches a handful of rows.

The series of `metrics` have the same buckets, by their step too, under their name with METRIC before it: a metric may
be called like a column of `steps`. Step 0, the untrained network, is in the first bucket of each size.
"""

import itertools
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trainer.store.records import StepRow

STEP_SERIES = ("loss", "acc_top1", "acc_top5", "acc_mean_pos", "lr", "grad_norm", "t_data", "t_batch")
BUCKET_SIZES = (16, 256, 4096, 65536)
METRIC = "metrics."
_FAN_IN = 16
_INSERT_STEP = f"INSERT INTO steps VALUES ({', '.join('?' * 11)}) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Point:
    """A stretch of a series: steps `first` to `last_step`, and what the values did in it."""

    first: int
    last_step: int
    low: float
    high: float
    mean: float
    last: float


def append_steps(connection: sqlite3.Connection, run_id: str, rows: Sequence[StepRow]) -> None:
    """Insert rows and bring their buckets up to date, inside the caller's transaction.

    A step that is already there stays as it is: after a resume the replayed steps are not doubled.
    """
    if not rows:
        return
    connection.executemany(_INSERT_STEP, [row.values(run_id) for row in rows])
    _refresh_buckets(connection, run_id, min(row.step for row in rows), max(row.step for row in rows))


def _refresh_buckets(connection: sqlite3.Connection, run_id: str, first: int, last: int) -> None:
    low, high = (first - 1) // 16, (last - 1) // 16
    steps = connection.execute(
        f"SELECT step, {', '.join(STEP_SERIES)} FROM steps WHERE run_id = ? AND step BETWEEN ? AND ? ORDER BY step",
        (run_id, low * 16 + 1, (high + 1) * 16),
    ).fetchall()
    for column, name in enumerate(STEP_SERIES, start=1):
        values = [
            ((row[0] - 1) // 16, row[column], row[column], row[column], row[column], 1)
            for row in steps
            if row[column] is not None
        ]
        _write_buckets(connection, run_id, name, 16, values)
    for name in STEP_SERIES:
        _refresh_above(connection, run_id, name, low, high)


def _refresh_above(connection: sqlite3.Connection, run_id: str, name: str, low: int, high: int) -> None:
    """Make the larger buckets over those of 16 steps from `low` to `high` anew, each size from the one below."""
    for below, size in itertools.pairwise(BUCKET_SIZES):
        low, high = low // _FAN_IN, high // _FAN_IN
        rows = connection.execute(
            "SELECT bucket / ?, min, max, mean, last, count FROM buckets WHERE run_id = ? AND name = ?"
            " AND size = ? AND bucket BETWEEN ? AND ? ORDER BY bucket",
            (_FAN_IN, run_id, name, below, low * _FAN_IN, high * _FAN_IN + _FAN_IN - 1),
        ).fetchall()
        _write_buckets(connection, run_id, name, size, rows)


def refresh_metric(connection: sqlite3.Connection, run_id: str, name: str, step: int) -> None:
    """Bring the buckets of a metric up to date with its value at a step, inside the caller's transaction.

    A value that was put in the place of another one counts once; NULL counts nowhere.
    """
    bucket = _bucket_of(step)
    values = connection.execute(
        "SELECT value FROM metrics WHERE run_id = ? AND name = ? AND step BETWEEN ? AND ? AND value IS NOT NULL"
        " ORDER BY step",
        (run_id, name, bucket * 16 + 1 if bucket else 0, (bucket + 1) * 16),
    ).fetchall()
    if not values:  # there may have been one before
        connection.executemany(
            "DELETE FROM buckets WHERE run_id = ? AND name = ? AND size = ? AND bucket = ?",
            [(run_id, METRIC + name, size, _bucket_of(step, size)) for size in BUCKET_SIZES],
        )
    _write_buckets(
        connection, run_id, METRIC + name, 16, [(bucket, value, value, value, value, 1) for (value,) in values]
    )
    _refresh_above(connection, run_id, METRIC + name, bucket, bucket)


def _bucket_of(step: int, size: int = 16) -> int:
    return max(0, step - 1) // size


def _write_buckets(
    connection: sqlite3.Connection, run_id: str, name: str, size: int, rows: Iterable[Sequence[float]]
) -> None:
    """Merge rows of (bucket, min, max, mean, last, count), in order, into one row a bucket."""
    merged: dict[int, list[float]] = {}
    for bucket, low, high, mean, last, count in rows:
        entry = merged.setdefault(int(bucket), [low, high, 0.0, last, 0])
        entry[0], entry[1], entry[3] = min(entry[0], low), max(entry[1], high), last
        entry[4] += count
        entry[2] += (mean - entry[2]) * count / entry[4]
    connection.executemany(
        "INSERT OR REPLACE INTO buckets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(run_id, name, size, bucket, *entry) for bucket, entry in merged.items()],
    )


def bucket_size(steps: int, columns: int) -> int:
    """The finest size (1 means the rows themselves) that shows so many steps in at most twice as many points."""
    for size in (1, *BUCKET_SIZES):
        if steps <= 2 * columns * size:
            return size
    return BUCKET_SIZES[-1]


def read_series(
    connection: sqlite3.Connection, run_id: str, name: str, *, first: int, last: int, columns: int
) -> list[Point]:
    """A step series between two steps, reduced to about as many points as a chart has columns. Reads only.

    Raises:
        KeyError: the name is not one of STEP_SERIES.
    """
    if name not in STEP_SERIES:
        raise KeyError(name)
    size = bucket_size(last - first + 1, columns)
    if size == 1:
        rows = connection.execute(
            f"SELECT step, {name} FROM steps WHERE run_id = ? AND step BETWEEN ? AND ? AND {name} IS NOT NULL"
            " ORDER BY step",
            (run_id, first, last),
        )
        return [Point(step, step, value, value, value, value) for step, value in rows]
    rows = connection.execute(
        "SELECT bucket, min, max, mean, last FROM buckets WHERE run_id = ? AND name = ? AND size = ?"
        " AND bucket BETWEEN ? AND ? ORDER BY bucket",
        (run_id, name, size, (first - 1) // size, (last - 1) // size),
    )
    return [
        Point(bucket * size + 1, min((bucket + 1) * size, last), low, high, mean, final)
        for bucket, low, high, mean, final in rows
    ]


def read_metric(
    connection: sqlite3.Connection, run_id: str, name: str, *, first: int, last: int, columns: int
) -> list[Point]:
    """A series of `metrics` between two steps, in at most twice as many points as a chart has columns. Reads only.

    Its values are far apart, so what is counted are values and not steps: all of them where they are few, else the
    finest buckets that are few enough.
    """
    query = (
        "SELECT step, value FROM metrics WHERE run_id = ? AND name = ? AND step BETWEEN ? AND ? AND value IS NOT NULL"
        " ORDER BY step LIMIT ?"
    )
    most = 2 * columns
    values = connection.execute(query, (run_id, name, first, last, most + 1)).fetchall()
    if len(values) <= most:
        return [Point(step, step, value, value, value, value) for step, value in values]
    points: list[Point] = []
    for size in BUCKET_SIZES:
        rows = connection.execute(
            "SELECT bucket, min, max, mean, last FROM buckets WHERE run_id = ? AND name = ? AND size = ?"
            " AND bucket BETWEEN ? AND ? ORDER BY bucket LIMIT ?",
            (run_id, METRIC + name, size, _bucket_of(first, size), _bucket_of(last, size), most + 1),
        ).fetchall()
        points = [
            Point(bucket * size + 1, min((bucket + 1) * size, last), low, high, mean, final)
            for bucket, low, high, mean, final in rows
        ]
        if 0 < len(points) <= most:
            return points
    if not points:  # an older version wrote it, without buckets
        values = connection.execute(query, (run_id, name, first, last, -1)).fetchall()
        return [Point(step, step, value, value, value, value) for step, value in values]
    return points
