"""What evaluations and health leave in the store: figures, files and words, each replaced by what is made again."""

import math
from typing import Any

import pytest

from tests.trainer.test_store import make_run
from trainer.store import RunStore


def figure(top1: float | None, **changes: Any) -> dict[str, Any]:
    """A row of `evaluations`."""
    row = {"step": 1, "protocol": "knn", "layer": "h", "labels_per_class": 0, "seed": 0, "top5": 1.0, "images": 10}
    return row | {"top1": top1} | changes


def test_an_evaluation_made_again_replaces_the_older_figure(store: RunStore) -> None:
    run_id = make_run(store)
    store.put_evaluations(run_id, [figure(0.1)])
    store.put_evaluations(run_id, [figure(0.2)])
    assert [evaluation.top1 for evaluation in store.evaluations(run_id)] == [0.2]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "cifar10"},
        {"step": 2},
        {"protocol": "linear"},
        {"layer": "z"},
        {"labels_per_class": 10},
        {"seed": 1},
    ],
)
def test_figures_that_differ_in_one_part_of_the_key_stand_side_by_side(store: RunStore, change: dict[str, Any]) -> None:
    run_id = make_run(store)
    store.put_evaluations(run_id, [figure(0.1), figure(0.9, **change)])
    store.put_evaluations(run_id, [figure(0.8, **change)])
    assert sorted(evaluation.top1 or 0 for evaluation in store.evaluations(run_id)) == [0.1, 0.8]


def test_a_transfer_does_not_overwrite_the_runs_own_figures(store: RunStore) -> None:
    run_id = make_run(store)
    store.put_evaluations(run_id, [figure(0.7)])
    store.put_evaluations(run_id, [figure(0.3, dataset="cifar10"), figure(0.4, dataset="folder:/own")])
    found = {evaluation.dataset: evaluation.top1 for evaluation in store.evaluations(run_id)}
    assert found == {"": 0.7, "cifar10": 0.3, "folder:/own": 0.4}


def test_what_is_no_accuracy_has_a_value_instead(store: RunStore) -> None:
    run_id = make_run(store)
    store.put_evaluations(run_id, [figure(None, top5=None, value=-0.25), figure(0.5, layer="z", train_top1=0.75)])
    first, second = store.evaluations(run_id)
    assert (first.top1, first.top5, first.train_top1, first.value) == (None, None, None, -0.25)
    assert (second.top1, second.train_top1, second.value) == (0.5, 0.75, None)


def test_metrics_are_series_by_name_and_a_figure_made_again_replaces_the_older_one(store: RunStore) -> None:
    run_id, other = make_run(store), make_run(store, "b")
    for step in (20, 10):
        store.put_metrics(run_id, step, {"rank_z": step / 4, "rank_h": step / 2})
    store.put_metrics(run_id, 10, {"rank_h": 7.0})
    store.put_metrics(other, 10, {"rank_h": 1.0})
    assert store.metrics(run_id) == {"rank_h": [(10, 7.0), (20, 10.0)], "rank_z": [(10, 2.5), (20, 5.0)]}
    assert store.metrics(run_id, after=10) == {"rank_h": [(20, 10.0)], "rank_z": [(20, 5.0)]}
    assert store.metrics("nobody") == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_is_none_and_not_left_out(store: RunStore, value: float) -> None:
    run_id = make_run(store)
    store.put_metrics(run_id, 1, {"rank_h": value})
    assert store.metrics(run_id) == {"rank_h": [(1, None)]}
    (stored,) = store.connection.execute("SELECT typeof(value) FROM metrics").fetchone()
    assert stored == "null"


def test_files_are_listed_newest_first_and_one_of_the_same_name_replaces_the_older(store: RunStore) -> None:
    run_id = make_run(store)
    about = {"run_id": run_id, "kind": "picture", "step": 1, "bytes": 3, "sha256": "00", "job_id": "job"}
    store.put_artifact(about | {"name": "map.png", "path": "old", "at": 1.0})
    store.put_artifact(about | {"name": "labels.svg", "path": "labels", "at": 2.0})
    store.put_artifact(about | {"name": "map.png", "path": "new", "at": 3.0})
    found = store.artifacts(run_id)
    assert [(artifact.name, artifact.path) for artifact in found] == [("map.png", "new"), ("labels.svg", "labels")]
    assert (found[0].bytes, found[0].kind, found[0].job_id) == (3, "picture", "job")


def test_a_runs_health_is_three_words_of_its_row(store: RunStore) -> None:
    run_id = make_run(store)
    assert store.run(run_id).health is None
    store.update_run(run_id, health="collapsed", health_level="sick", health_rule="collapse")
    run = store.run(run_id)
    assert (run.health, run.health_level, run.health_rule) == ("collapsed", "sick", "collapse")
    assert [one.health for one in store.runs()] == ["collapsed"]
