"""Reading a run piece by piece gives what reading it at once gives."""

import random
from pathlib import Path

import pytest

from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import FIRST_CHARTS
from simclr_tui.charts.ids import step_series
from simclr_tui.model import Curves
from tests.simclr_tui.learning_store import put_checkpoint
from tests.simclr_tui.support import STEPS_PER_EPOCH, add_run, evaluation_rows, step_row
from trainer.evaluate_config import EvaluateConfig
from trainer.store.reader import StoreReader
from trainer.store.records import Evaluation
from trainer.store.runs import RunStore


def read_all(reader: StoreReader, run_id: str, columns: int = 1000) -> Curves:
    curves = CurveReader(run_id).read(reader, reader.run(run_id), columns)
    assert curves is not None
    return curves


def test_a_growing_run_is_read_as_if_it_were_read_at_once(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "grows", steps=10)
    reader, rng = CurveReader(run_id), random.Random(1)
    for first in range(11, 300, 37):
        curves = reader.read(store, store.run(run_id), 1000)
        assert curves == read_all(store, run_id)
        store.append(run_id, [step_row(step, rng) for step in range(first, first + 37)])
        epoch = first // STEPS_PER_EPOCH
        for again in (epoch - 1, epoch):  # an epoch that is finished after a resume replaces its row
            if again > 0:
                store.put_epoch(run_id, again, {"t_epoch": float(first), "knn_top1": 0.2})
        store.beat(run_id, {"source": "cpu", "gpu_util": float(first)})
        store.event(run_id, "note", f"step {first}")
    store.close()


def test_nothing_new_is_nothing_to_show(runs: Path, some_runs: dict[str, str]) -> None:
    reader = StoreReader.open(runs)
    curves = CurveReader(some_runs["done"])
    run = reader.run(some_runs["done"])
    assert curves.read(reader, run, 1000) is not None
    assert curves.read(reader, run, 1000) is None
    assert curves.read(reader, run, 20) is not None, "another width is something new"
    reader.close()


def test_a_long_run_is_read_through_buckets_and_no_spike_is_lost(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "long", steps=5000)
    curves = read_all(store, run_id, columns=100)
    for name in step_series(FIRST_CHARTS):
        points = curves.steps[name]
        assert 100 <= len(points) <= 2 * 100 + 1
        values = [row[name] for row in store.steps(run_id)]
        assert max(point.high for point in points) == max(values)
        assert min(point.low for point in points) == min(values)
    store.close()


def test_an_evaluation_shows_the_figures_that_it_made(runs: Path, some_runs: dict[str, str]) -> None:
    store = RunStore.open(runs)
    source = some_runs["done"]
    job = store.create_run(
        kind="evaluate", name="job", config=EvaluateConfig(run=source).to_json(), source_run_id=source
    )
    assert not read_all(store, job).evaluations
    rows = evaluation_rows(job, 300)
    store.put_evaluations(source, rows)
    assert {e.job_id for e in read_all(store, job).evaluations} == {job}
    assert len(read_all(store, source).evaluations) == 16
    store.close()


def test_health_series_are_read_as_they_grow_and_as_they_are_made_anew(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "healthy", steps=46)
    reader = CurveReader(run_id)
    store.put_metrics(run_id, 0, {"rank_z": 5.0})
    for step, figures in (
        (23, {"rank_z": 9.0, "std_z": 0.5}),
        (46, {"rank_z": 12.0}),
        (46, {"std_z": 0.7}),
        (46, {"rank_z": 13.0}),
        (69, {"rank_z": 14.0, "std_z": 0.8, "new": 1.0}),
    ):
        store.put_metrics(run_id, step, figures)
        curves = reader.read(store, store.run(run_id), 1000)
        assert curves == read_all(store, run_id)
    assert curves is not None
    assert curves.metrics["rank_z"] == ((0, 5.0), (23, 9.0), (46, 13.0), (69, 14.0))
    assert (curves.latest_metric("std_z"), curves.latest_metric("rank_h")) == (0.8, None)
    assert reader.read(store, store.run(run_id), 1000) is None
    store.put_metrics(run_id, 92, {"rank_z": float("nan")})  # SQLite keeps it as NULL
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert curves.latest_metric("rank_z") == 14.0
    store.close()


def test_checkpoints_come_and_go(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "saved", steps=46)
    reader = CurveReader(run_id)
    for step in (23, 46):
        put_checkpoint(store, run_id, step)
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert [one.step for one in curves.checkpoints] == [46, 23]
    store.forget_checkpoint(run_id, 23)
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert [one.step for one in curves.checkpoints] == [46]
    store.close()


def test_a_checkpoint_that_cannot_be_written_is_known_until_one_is(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "saves", steps=100)
    reader = CurveReader(run_id)
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert curves.checkpoint_failure is None
    store.event(run_id, "checkpoint-failed", "checkpoint of step 50 not written", level="error", step=50)
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert curves.checkpoint_failure is not None
    put_checkpoint(store, run_id, 51)
    curves = reader.read(store, store.run(run_id), 1000)
    assert curves is not None
    assert curves.checkpoint_failure is None
    store.close()


@pytest.mark.parametrize("name", ["waiting"])
def test_a_run_that_has_not_started_has_events_only(name: str, runs: Path, some_runs: dict[str, str]) -> None:
    reader = StoreReader.open(runs)
    curves = read_all(reader, some_runs[name])
    reader.close()
    assert curves.events
    assert not any(curves.steps.values())
    assert not curves.epochs


def test_evaluations_are_read_again_only_where_there_are_others(
    runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore.open(runs)
    run_id = some_runs["done"]
    reader = CurveReader(run_id)
    asked: list[str] = []
    whole = StoreReader.evaluations

    def evaluations(self: StoreReader, of: str) -> list[Evaluation]:
        asked.append(of)
        return whole(self, of)

    monkeypatch.setattr(StoreReader, "evaluations", evaluations)

    def scores() -> list[float | None]:
        curves = reader.read_all(store, store.run(run_id), 100, charts=FIRST_CHARTS)
        return [one.top1 for one in curves.evaluations]

    assert scores() == scores() == [row["top1"] for row in evaluation_rows(run_id, 345)]
    assert asked == [run_id]
    store.put_evaluations(run_id, [evaluation_rows(run_id, 345)[0] | {"top1": 0.9}])
    assert 0.9 in scores()
    assert len(asked) == 2
    store.connection.execute("DELETE FROM evaluations WHERE run_id = ?", (run_id,))
    store.connection.commit()
    assert scores() == []
    store.close()
