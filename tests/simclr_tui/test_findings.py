"""Evaluations sorted by what made them."""

from pathlib import Path
from typing import Any

import pytest

from simclr_tui.findings import Findings, way_of
from tests.simclr_tui.learning_store import DRAWS, STEP, about, add_studied_run, layer_rows
from tests.simclr_tui.support import add_run
from trainer.evaluate_config import WAYS
from trainer.evaluation.names import AUGMENTATIONS
from trainer.store.runs import RunStore


@pytest.fixture
def findings(runs: Path) -> Findings:
    run_id = add_studied_run(runs)
    store = RunStore.open(runs)
    found = Findings.of(store.evaluations(run_id))
    store.close()
    return found


def test_every_row_belongs_to_the_way_that_makes_it(findings: Findings) -> None:
    assert {study.way for study in findings.studies} == set(WAYS)
    for study in findings.studies:
        assert {way_of(row) for row in study.rows} == {study.way}
        assert len({(row.dataset, row.step) for row in study.rows}) == 1


def test_a_protocol_of_a_later_version_is_left_out_and_breaks_nothing(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "later")
    store.put_evaluations(run_id, [about(protocol="telepathy", layer="h", top1=0.5), about(protocol="knn", layer="h")])
    assert Findings.of(store.evaluations(run_id)).studies == []
    store.close()


def test_own_data_and_transfers_are_apart(findings: Findings) -> None:
    own, other = findings.study("layers"), findings.study("layers", "cifar10")
    assert own is not None
    assert other is not None
    assert own.top1("h", "linear") == 0.789
    assert other.top1("h", "linear") == pytest.approx(0.739)
    assert findings.transfers == ["cifar10"]
    assert findings.study("labels", "cifar10") is None


def test_layers_and_protocols_are_in_the_order_of_a_table_and_the_best_is_known(findings: Findings) -> None:
    study = findings.study("layers")
    assert study is not None
    assert study.layers == ["pixels", "untrained", "z", "g1", "h"]
    assert study.protocols == ["knn", "linear"]
    assert study.best("knn") == 0.761
    assert study.best("finetune") is None


def test_the_latest_look_counts_unless_a_step_is_named(runs: Path, findings: Findings) -> None:
    assert findings.steps == [230, STEP]
    latest, earlier = findings.study("layers"), findings.study("layers", step=230)
    assert latest is not None
    assert earlier is not None
    assert (latest.step, earlier.step) == (STEP, 230)
    assert findings.study("labels", step=230) is None
    store = RunStore.open(runs)
    run_id = store.find("studied").id
    store.put_evaluations(run_id, layer_rows(step=230))  # somebody looked at the older checkpoint again
    again = Findings.of(store.evaluations(run_id)).study("layers")
    store.close()
    assert again is not None
    assert again.step == 230


def put_of_job(store: RunStore, run_id: str, job_id: str, at: float, rows: list[dict[str, Any]]) -> None:
    """Figures of one job, made at that time."""
    store.put_evaluations(run_id, [row | {"job_id": job_id, "at": at} for row in rows])


def draws_of(seeds: int, top1: float) -> list[dict[str, Any]]:
    """So many equal draws of ten labels per class."""
    return [about(protocol="linear", layer="h", labels_per_class=10, seed=seed, top1=top1) for seed in range(seeds)]


def test_of_two_jobs_with_other_settings_only_the_newer_ones_figures_are_shown(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "tuned")
    tuned: dict[str, Any] = {"protocol": "finetune", "layer": "h"}
    old = [about(labels_per_class=number, seed=0, top1=0.5, **tuned) for number in (5, 50)]
    new = [about(labels_per_class=number, seed=1, top1=0.7, **tuned) for number in (50, 500)]
    put_of_job(store, run_id, "new", 2.0, new)
    put_of_job(store, run_id, "old", 1.0, old)
    studies = Findings.of(store.evaluations(run_id)).studies
    upside_down = Findings.of(reversed(store.evaluations(run_id))).studies
    store.close()
    for (study,) in (studies, upside_down):
        points = study.curves["h", "finetune"]
        assert {number: one.mean for number, one in points.items()} == {50: 0.7, 500: 0.7}
        assert all(one.half_width is None for one in points.values()), "two settings are no two draws"


def test_fewer_draws_made_later_are_not_filled_up_with_earlier_ones(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "drawn")
    put_of_job(store, run_id, "five", 1.0, draws_of(5, 0.9))
    put_of_job(store, run_id, "three", 2.0, draws_of(3, 0.6))
    study = Findings.of(store.evaluations(run_id)).study("labels")
    left = [row.job_id for row in store.evaluations(run_id)]
    store.close()
    assert left.count("five") == 2, "the store overwrites equal keys only"
    assert study is not None
    assert len(study.rows) == 3
    assert study.curves["h", "linear"][10].mean == pytest.approx(0.6)


def test_a_later_job_replaces_what_the_run_scored_at_its_end_and_leaves_other_studies_alone(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = add_run(store, "scored")
    at_end = [*layer_rows(), about(protocol="linear-adamw", layer="h", top1=0.8)]
    put_of_job(store, run_id, run_id, 1.0, [*at_end, *layer_rows(step=230)])
    put_of_job(store, run_id, "labels", 2.0, draws_of(2, 0.6))
    put_of_job(store, run_id, "again", 3.0, [row | {"seed": 1} for row in layer_rows(worse=0.1)])
    found = Findings.of(store.evaluations(run_id))
    store.close()
    again, before = found.study("layers", step=STEP), found.study("layers", step=230)
    assert again is not None
    assert before is not None
    assert again.protocols == ["knn", "linear"]
    assert again.best("linear") == pytest.approx(0.689)
    assert before.best("linear") == 0.789
    assert found.study("labels") is not None


def test_curves_have_the_mean_and_the_t_interval_of_their_draws(findings: Findings) -> None:
    study = findings.study("labels")
    assert study is not None
    assert list(study.curves) == [("h", "knn"), ("untrained", "knn"), ("h", "linear"), ("untrained", "linear")]
    points = study.curves["h", "linear"]
    assert list(points) == [10, 50, 500]
    assert points[10].mean == pytest.approx(0.6)
    # t(0.975, 2) = 4.303 and s = 0.02 of three draws 0.02 apart
    assert points[10].half_width == pytest.approx(4.303 * 0.02 / len(DRAWS) ** 0.5, rel=1e-3)
    assert points[500].half_width is None


def test_invariance_is_by_augmentation_and_layer(findings: Findings) -> None:
    study = findings.study("invariance")
    assert study is not None
    assert study.augmentations == list(AUGMENTATIONS)
    assert study.values("tells-")["hue", "z"] == 0.15
    assert study.values("varies-")["hue", "z"] == 0.08
