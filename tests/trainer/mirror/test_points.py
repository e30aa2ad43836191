"""The store beyond a mark: every row once, in the order in which rows are committed."""

import math
from pathlib import Path

import pytest

from tests.trainer.export.filled import STEPS, filled_run, step_row
from tests.trainer.mirror.reading import expected, value
from trainer.mirror import points as module
from trainer.mirror.mark import Reached
from trainer.mirror.points import KEYS, Point, Points
from trainer.store import RunStore


def read(points: Points, reached: Reached) -> list[Point]:
    """Everything new, with the mark moved as a mirror moves it."""
    found = []
    for page in points.new(reached):
        reached[page[-1].table] = page[-1].key
        found += page
    return found


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_every_row_comes_once_whatever_the_page(
    store: RunStore, runs: Path, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE_ROWS", rows)
    run_id = filled_run(store)
    store.put_rank_samples(run_id, [{"rank": rank, "source": "cpu", "t_step": 0.1 + rank} for rank in (0, 1)])
    reached: Reached = {}
    found = read(Points(store, run_id), reached)
    values = [value(tag, point.step, number) for point in found for tag, number in point.values.items()]
    assert sorted(values, key=str) == expected(runs, run_id)
    assert [table for table in KEYS if any(point.table == table for point in found)] == list(KEYS)
    assert found[-1].table == "steps", "whatever lies at a step comes before a later step"
    assert read(Points(store, run_id), reached) == []


def test_only_what_is_new_comes_and_what_was_made_again_comes_again(store: RunStore) -> None:
    run_id, reached = filled_run(store), Reached()
    points = Points(store, run_id)
    read(points, reached)
    store.append(run_id, [step_row(step) for step in (STEPS - 1, STEPS, STEPS + 1)])
    store.put_metrics(run_id, STEPS + 1, {"z_std": math.inf, "a_new_one": 1.0})
    store.put_epoch(run_id, 1, {"loss": 9.0})  # replayed after a resume: the same epoch
    score = {"step": 30, "protocol": "linear", "layer": "h", "labels_per_class": 0, "seed": 0, "images": 80}
    store.put_evaluations(run_id, [score | {"top1": 0.8}])
    found = read(points, reached)
    assert [(point.table, point.step) for point in found] == [
        ("evaluations", 30),
        ("metrics", STEPS + 1),
        ("metrics", STEPS + 1),
        ("steps", STEPS + 1),
    ]
    assert found[0].values == {"evaluation/linear/h/top1": 0.8}
    assert math.isnan(found[2].values["z_std"]), "it was not finite"


def test_times_never_fall_and_are_those_of_the_store(store: RunStore) -> None:
    run_id = filled_run(store)
    steps = [point for point in read(Points(store, run_id), {}) if point.table == "steps"]
    times = [point.seconds for point in steps]
    assert times == sorted(times)
    assert store.run(run_id).created_at <= times[0]
