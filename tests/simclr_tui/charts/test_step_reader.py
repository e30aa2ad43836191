"""Reading step series piece by piece, whole and in a window, gives what reading them at once gives."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.charts.step_reader import StepReader
from simclr_tui.model import Curves
from tests.simclr_tui.support import add_run, step_row
from trainer.store.history import step_stretches
from trainer.store.reader import StoreReader
from trainer.store.records import StepRow
from trainer.store.runs import RunStore
from trainer.store.series import Point

NAMES = ("loss", "t_batch")


def rows(first: int, last: int) -> list[StepRow]:
    rng = random.Random(first)
    return [step_row(step, rng) for step in range(first, last + 1)]


def fresh(
    store: RunStore, run_id: str, columns: int, window: tuple[int, int] | None = None
) -> tuple[dict[str, list[Point]], dict[str, list[Point]]]:
    reader = StepReader(run_id)
    reader.read(store, columns, NAMES, window)
    return {n: list(p) for n, p in reader.whole.items()}, {n: list(p) for n, p in reader.detail.items()}


@pytest.mark.parametrize("columns", [3, 20, 100, 1000])
def test_a_growing_series_is_read_as_if_it_were_read_at_once(store: RunStore, columns: int) -> None:
    run_id = add_run(store, "grows")
    reader, rng, last = StepReader(run_id), random.Random(2), 0
    while last < 1200:
        count = rng.choice((1, 3, 15, 16, 17, 150, 400))
        store.append(run_id, rows(last + 1, last + count))
        last += count
        window = None if rng.random() < 0.3 else (max(1, last - rng.randint(1, 300)), last)
        assert reader.read(store, columns, NAMES, window)
        whole, _ = fresh(store, run_id, columns)
        assert {n: list(p) for n, p in reader.whole.items()} == whole
        both = Curves(run_id=run_id, steps=reader.whole, detail=reader.detail)
        for name in NAMES:
            covers(both.series(name), store, run_id, name)


def covers(points: object, store: RunStore, run_id: str, name: str) -> None:
    """Every step of a stretch is in one point, which has its extremes."""
    found = list(points)  # type: ignore[call-overload]
    values = {row["step"]: row[name] for row in store.steps(run_id)}
    step = found[0].first
    for point in found:
        assert point.first == step
        inside = [values[s] for s in range(point.first, point.last_step + 1)]
        assert (point.low, point.high) == (min(inside), max(inside))
        assert point.mean == pytest.approx(sum(inside) / len(inside))
        step = point.last_step + 1


def test_only_what_is_new_is_read(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = add_run(store, "long", steps=5000)
    asked: list[int] = []

    def counted(reader: StoreReader, run: str, name: str, *, first: int, last: int, **lengths: int) -> list[Point]:
        asked.append(last - first + 1)
        return step_stretches(reader, run, name, first=first, last=last, **lengths)

    monkeypatch.setattr("simclr_tui.charts.step_reader.step_stretches", counted)
    reader = StepReader(run_id)
    reader.read(store, 100, NAMES, (4000, 5000))
    asked.clear()
    assert not reader.read(store, 100, NAMES, (4000, 5000))
    store.append(run_id, rows(5001, 5001))
    assert reader.read(store, 100, NAMES, (4001, 5001))
    assert sum(asked) <= len(NAMES) * 2 * 33, "the newest buckets, of the whole and of the window"
    asked.clear()
    assert reader.read(store, 100, NAMES, (3500, 4600)), "panned within what is read beside a window"
    assert sum(asked) <= len(NAMES) * 2 * 33


def test_a_window_is_read_finer_than_the_whole_down_to_single_steps(store: RunStore) -> None:
    run_id = add_run(store, "long", steps=6000)
    whole, detail = fresh(store, run_id, 100, (3000, 3090))
    assert {p.last_step - p.first + 1 for p in whole["loss"][:-1]} == {32}
    assert {p.last_step - p.first + 1 for p in detail["loss"]} == {1}
    assert detail["loss"][0].first <= 3000 - 90
    assert detail["loss"][-1].last_step >= 3090 + 90
    covers(detail["loss"], store, run_id, "loss")
    assert fresh(store, run_id, 100, (1, 6000))[1] == {}, "nothing is finer than it is"
    assert fresh(store, run_id, 100, (7000, 8000))[1] == {}


def test_series_that_no_chart_shows_are_let_go_and_new_ones_read_whole(store: RunStore) -> None:
    run_id = add_run(store, "one", steps=300)
    reader = StepReader(run_id)
    reader.read(store, 20, ("loss",))
    assert reader.read(store, 20, ("loss", "lr"))
    assert set(reader.whole) == {"loss", "lr"}
    assert sum(p.last_step - p.first + 1 for p in reader.whole["lr"]) == 300
    assert reader.read(store, 20, ("lr",))
    assert set(reader.whole) == {"lr"}


def test_steps_that_were_not_finite_are_left_out_and_what_follows_is_read(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "holes")
    reader = StepReader(run_id)
    for first in range(1, 100, 7):
        some = [replace(row, loss=None) if row.step % 5 == 0 else row for row in rows(first, first + 6)]
        store.append(run_id, some)
        reader.read(store, 1000, NAMES)
    assert [p.first for p in reader.whole["loss"]] == [s for s in range(1, 106) if s % 5]
    store.close()


def test_rows_that_were_cut_off_are_shown_no_more_in_a_window_either(store: RunStore) -> None:
    run_id = add_run(store, "cut", steps=600)
    reader, window = StepReader(run_id), (280, 600)
    reader.read(store, 100, NAMES, window)
    assert reader.detail["loss"][-1].last_step == 600
    for table, column, first in (("steps", "step", 500), ("buckets", "(bucket + 1) * size", 500)):
        store.connection.execute(f"DELETE FROM {table} WHERE run_id = ? AND {column} > ?", (run_id, first))
    store.connection.commit()
    reader.read(store, 100, NAMES, window)
    whole, detail = fresh(store, run_id, 100, window)
    assert {n: list(p) for n, p in reader.whole.items()} == whole
    assert [p for p in reader.detail["loss"] if p.last_step > 500] == []
    assert list(reader.detail["loss"]) == detail["loss"]
