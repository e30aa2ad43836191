"""Which checkpoints are kept, and what the store says of them."""

import json
import time
from pathlib import Path

import pytest
import torch

from tests.trainer.test_store import make_run
from trainer.checkpoint import steps_on_disk
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.store import RunStore


def make_keeper(store: RunStore, runs: Path, run_id: str, **changes: object) -> CheckpointKeeper:
    """A keeper with some settings changed."""
    return CheckpointKeeper(store, runs, run_id, PretrainConfig.from_values(changes))


def save(keeper: CheckpointKeeper, step: int, reason: str = "interval", knn: float | None = None) -> None:
    """Save a payload that knows its step."""
    keeper.save({"step": step, "w": torch.ones(3)}, step=step, epoch=1, reason=reason, knn_top1=knn)


def test_the_newest_the_best_and_the_milestones_are_kept(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, keep_checkpoints=2, keep_every_epochs=10)
    save(keeper, 1, knn=0.2)
    save(keeper, 2, "milestone", knn=0.1)
    save(keeper, 3, "best", knn=0.9)
    for step in range(4, 9):
        save(keeper, step, knn=0.3)
    kept = [row.step for row in store.checkpoints(run_id)]
    assert kept == [8, 7, 3, 2]
    assert steps_on_disk(checkpoint_dir(runs, run_id)) == kept
    for row in store.checkpoints(run_id):
        assert (runs / row.path).stat().st_size == row.bytes
    assert [keeper.is_milestone(epoch) for epoch in (9, 10, 20)] == [False, True, True]


def test_only_a_better_score_is_worth_a_checkpoint_of_its_own(store: RunStore, runs: Path) -> None:
    keeper = make_keeper(store, runs, make_run(store))
    assert keeper.is_better(0.1)
    assert not keeper.is_better(None)
    save(keeper, 1, "best", knn=0.5)
    keeper._cost_seconds = 0.0
    assert not keeper.is_better(0.5)
    assert keeper.is_better(0.6)
    keeper._cost_seconds = 1000.0
    assert not keeper.is_better(0.6)


def test_the_interval_grows_where_a_checkpoint_costs_over_one_percent(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id, checkpoint_seconds=1e-6)
    time.sleep(0.001)
    assert keeper.due
    save(keeper, 1)
    assert not keeper.due
    message = store.events(run_id=run_id)[-1].message
    assert "s, so one is written every" in message
    assert "instead of every" in message
    eager = make_keeper(store, runs, run_id, checkpoint_seconds=0)
    save(eager, 2)
    assert eager.due


def test_damaged_checkpoints_are_taken_back_and_told(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    save(keeper, 1)
    save(keeper, 2)
    (runs / store.checkpoints(run_id)[0].path).write_bytes(b"x")
    found = keeper.newest(owner=True)
    assert found is not None
    assert found[0]["step"] == 1
    assert [row.step for row in store.checkpoints(run_id)] == [1]
    kinds = [event.kind for event in store.events(run_id=run_id)]
    assert kinds[-2:] == ["checkpoint-damaged", "checkpoint-fallback"]


def test_no_usable_checkpoint_is_an_error_and_no_checkpoint_is_none(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    keeper = make_keeper(store, runs, run_id)
    assert keeper.newest() is None
    save(keeper, 1)
    (runs / store.checkpoints(run_id)[0].path).unlink()
    for _ in range(2):  # the second time there is only what was set aside, and still no silent new beginning
        with pytest.raises(CheckpointError, match="no checkpoint of the run can be used"):
            keeper.newest(owner=True)
    with pytest.raises(CheckpointError, match="no checkpoint of step 7"):
        keeper.newest(step=7)


def test_the_manifest_is_enough_to_know_the_run_without_the_store(store: RunStore, runs: Path) -> None:
    run_id = make_run(store, "my run")
    keeper = make_keeper(store, runs, run_id, epochs=7)
    save(keeper, 1, knn=0.5)
    found = keeper.newest()
    assert found is not None
    manifest = found[1]
    assert manifest["run_id"] == run_id
    assert manifest["name"] == "my run"
    assert manifest["knn_top1"] == 0.5
    assert PretrainConfig.from_json(manifest["config"]).epochs == 7


def test_settings_that_were_added_since_do_not_make_a_checkpoint_another_runs(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    save(make_keeper(store, runs, run_id, temperature=0.07), 1)
    manifest = checkpoint_dir(runs, run_id) / "step-1.json"
    stored = json.loads(manifest.read_text())
    older = {name: value for name, value in json.loads(stored["config"]).items() if name != "temperature"}
    manifest.write_text(json.dumps(stored | {"config": json.dumps(older)}))
    assert make_keeper(store, runs, run_id).newest(owner=True) is not None
    with pytest.raises(CheckpointError):
        make_keeper(store, runs, run_id, temperature=0.5).newest(owner=True)


def test_a_try_that_failed_puts_the_next_one_off(store: RunStore, runs: Path) -> None:
    keeper = make_keeper(store, runs, make_run(store), checkpoint_seconds=0)
    assert keeper.due
    keeper.put_off()
    assert not keeper.due
