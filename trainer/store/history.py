"""Further reads for charts: what happened to a run at all, which series it has, and its device over the whole run."""

from collections.abc import Sequence
from typing import Any

from trainer.store.reader import StoreReader
from trainer.store.records import Event
from trainer.store.series import STEP_SERIES, Point

DEVICE_SERIES = (
    "gpu_util",
    "gpu_memory_bytes",
    "process_memory_bytes",
    "power_watts",
    "temperature_celsius",
    "sm_clock_mhz",
    "cpu_percent",
)
"""Columns of `device_samples` that are numbers over time."""

SLOWED = ("hardware slowdown", "thermal (software)", "thermal (hardware)", "power brake")
"""Throttle reasons of a device that is kept from its usual speed; a power cap is how fast the card is when busy."""

_METRICS = """
    WITH RECURSIVE names(name) AS (
      SELECT min(name) FROM metrics WHERE run_id = :run
      UNION ALL
      SELECT (SELECT min(name) FROM metrics WHERE run_id = :run AND name > names.name) FROM names
      WHERE names.name IS NOT NULL
    )
    SELECT name, (SELECT max(step) FROM metrics m WHERE m.run_id = :run AND m.name = names.name) AS step,
      (SELECT value FROM metrics m WHERE m.run_id = :run AND m.name = names.name ORDER BY step DESC LIMIT 1) AS value
    FROM names WHERE name IS NOT NULL
"""


def events_of_kinds(reader: StoreReader, run_id: str, kinds: Sequence[str], *, after: int = 0) -> list[Event]:
    """All events of a run that are of some kinds or no mere information, oldest first. Reads only."""
    marks = ", ".join("?" * len(kinds))
    return reader._records(
        Event,
        f"SELECT * FROM events WHERE run_id = ? AND id > ? AND (kind IN ({marks}) OR level <> 'info') ORDER BY id",
        (run_id, after, *kinds),
    )


def evaluations_mark(reader: StoreReader, run_id: str) -> tuple[Any, ...]:
    """What is another one once a run has other evaluations, of which there may be thousands. Reads only."""
    query = "SELECT count(*), max(rowid), max(at) FROM evaluations WHERE run_id = ?"
    return tuple(reader._rows(query, (run_id,))[0])


def newest_metrics(reader: StoreReader, run_id: str) -> dict[str, tuple[int, float | None]]:
    """The last step and value of every series of `metrics` by its name. Reads only.

    Looks each name up in the primary key, so that it takes no longer for a longer run.
    """
    rows = reader._figures(_METRICS, {"run": run_id})  # type: ignore[arg-type]  # names instead of places
    return {row["name"]: (row["step"], row["value"]) for row in rows}


def step_stretches(
    reader: StoreReader, run_id: str, name: str, *, first: int, last: int, size: int, many: int
) -> list[Point]:
    """A step series between two steps, in stretches of so many buckets of a size (1: steps). Reads only.

    Each has its lowest and its highest value and the mean of all; the last one, which no chart shows, is the mean.

    Raises:
        KeyError: the name is not one of STEP_SERIES.
    """
    if name not in STEP_SERIES:
        raise KeyError(name)
    if size == 1:
        rows = reader._rows(
            f"SELECT min(step), max(step), min({name}), max({name}), avg({name}) FROM steps"
            f" WHERE run_id = ? AND step BETWEEN ? AND ? AND {name} IS NOT NULL GROUP BY (step - 1) / ? ORDER BY 1",
            (run_id, first, last, many),
        )
    else:
        rows = reader._rows(
            "SELECT min(bucket) * :size + 1, min((max(bucket) + 1) * :size, :last), min(min), max(max),"
            " sum(mean * count) / sum(count) FROM buckets WHERE run_id = :run AND name = :name AND size = :size"
            " AND bucket BETWEEN (:first - 1) / :size AND (:last - 1) / :size GROUP BY bucket / :many ORDER BY 1",
            {"run": run_id, "name": name, "size": size, "many": many, "first": first, "last": last},
        )
    return reader._checked([Point(a, b, low, high, mean, mean) for a, b, low, high, mean in rows], name)


def device_bins(
    reader: StoreReader, run_id: str, *, after: float, until: float, seconds: float
) -> list[dict[str, Any]]:
    """Samples of the device above a time and up to another one, in stretches of so many seconds. Reads only.

    A row is a stretch that has samples: `bin` counts stretches from 0 UTC; of each of DEVICE_SERIES `low_…`, `high_…`,
    `sum_…` and `count_…`; `samples` how many there are, `slowed` how many of them say that the card was slowed down;
    `last_at` of the newest one.
    """
    columns = ", ".join(
        f"{function}({name}) AS {word}_{name}"
        for name in DEVICE_SERIES
        for word, function in (("low", "min"), ("high", "max"), ("sum", "sum"), ("count", "count"))
    )
    slowed = " OR ".join(f"throttle_reasons LIKE '%{words}%'" for words in SLOWED)
    return reader._figures(
        f"SELECT CAST(at / ? AS INTEGER) AS bin, max(at) AS last_at, count(*) AS samples,"
        f" sum(ifnull({slowed}, 0)) AS slowed, {columns}"
        " FROM device_samples WHERE run_id = ? AND at > ? AND at <= ? GROUP BY 1 ORDER BY 1",
        (seconds, run_id, after, until),
    )


def device_until(reader: StoreReader, run_id: str, *, after: float, samples: int) -> float | None:
    """The time of the last of so many samples after a time, None where there is none. Reads only."""
    query = "SELECT max(at) AS at FROM (SELECT at FROM device_samples WHERE run_id = ? AND at > ? ORDER BY at LIMIT ?)"
    found: float | None = reader._figures(query, (run_id, after, samples))[0]["at"]
    return found
