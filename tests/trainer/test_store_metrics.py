"""Buckets of the series that are no columns of `steps`, against all of their values."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.test_store import make_run
from trainer.store import RunStore
from trainer.store.series import BUCKET_SIZES, METRIC, Point


def slowly(values: dict[int, float], size: int) -> dict[int, tuple[Any, ...]]:
    """The buckets of a series from all of its finite values; step 0 is in the first one."""
    groups: dict[int, list[float]] = {}
    for step in sorted(values):
        if math.isfinite(values[step]):
            groups.setdefault(max(0, step - 1) // size, []).append(values[step])
    return {
        bucket: (min(group), max(group), pytest.approx(math.fsum(group) / len(group)), group[-1], len(group))
        for bucket, group in groups.items()
    }


def stored(store: RunStore, run_id: str, name: str, size: int) -> dict[int, tuple[float, ...]]:
    """The buckets that the writer has kept."""
    query = "SELECT bucket, min, max, mean, last, count FROM buckets WHERE run_id = ? AND name = ? AND size = ?"
    return {row[0]: tuple(row)[1:] for row in store.connection.execute(query, (run_id, METRIC + name, size))}


def test_a_metrics_buckets_are_those_of_all_its_values_in_whatever_order_they_come(store: RunStore) -> None:
    run_id, draw = make_run(store), random.Random(0)
    values: dict[int, float] = {}
    for step in [0, 1, 16, 17, 256, 257, 4096, 4097, 70_000, *draw.choices(range(2000), k=150), 17, 70_000]:
        value = draw.choice([draw.gauss(0, 1), math.nan]) if step % 3 else draw.gauss(0, 1)
        values[step] = value
        store.put_metrics(run_id, step, {"alignment": value, "loss": -value})
    assert any(math.isnan(value) for value in values.values())
    for size in BUCKET_SIZES:
        assert stored(store, run_id, "alignment", size) == slowly(values, size), size
        assert stored(store, run_id, "loss", size) == slowly({step: -v for step, v in values.items()}, size), size


def test_a_value_that_becomes_none_takes_its_buckets_with_it(store: RunStore) -> None:
    run_id = make_run(store)
    for value in (1.0, math.inf):
        store.put_metrics(run_id, 5, {"uniformity": value})
    assert [stored(store, run_id, "uniformity", size) for size in BUCKET_SIZES] == [{}] * 4
    assert store.metric(run_id, "uniformity", first=0, last=9, columns=5) == []


def test_few_values_are_read_as_they_are_and_many_as_few_points_that_hide_no_spike(store: RunStore) -> None:
    run_id = make_run(store)
    for epoch in range(300):
        store.put_metrics(run_id, 390 * epoch, {"rank": 99.0 if epoch == 123 else epoch / 300})
    whole = store.metric(run_id, "rank", first=0, last=390 * 300, columns=150)
    assert whole[7] == Point(390 * 7, 390 * 7, 7 / 300, 7 / 300, 7 / 300, 7 / 300)
    assert len(whole) == 300
    few = store.metric(run_id, "rank", first=0, last=390 * 300, columns=20)
    assert 1 < len(few) <= 40
    assert max(point.high for point in few) == 99.0
    assert few[-1].last == 299 / 300
    assert [point.first for point in few] == sorted(point.first for point in few)
    assert store.metric(run_id, "other", first=0, last=9, columns=5) == []


def test_a_series_that_an_older_version_left_without_buckets_is_still_read(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    for step in range(50):
        store.put_metrics(run_id, step, {"rank": float(step)})
    store.connection.execute("DELETE FROM buckets")
    points = store.metric(run_id, "rank", first=0, last=50, columns=5)
    assert [point.last for point in points] == [float(step) for step in range(50)]
