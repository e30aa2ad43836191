"""The store against the disk, and runs whose trainer is gone: with real locks of real processes."""

import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.simclr_tui.support import Holder
from tests.trainer.doctor.checkpoint_files import add_run_with_checkpoints, orphan
from tests.trainer.test_store import damage
from trainer.doctor import examine
from trainer.doctor import runs as module
from trainer.doctor.check import Check
from trainer.doctor.runs import read_store
from trainer.store.queue import put_row
from trainer.store.runs import RunStore


def looked_at(runs: Path) -> dict[str, Check]:
    return {check.name: check for check in module.checks(runs, read_store(runs), depth="newest")}


def test_a_run_that_says_it_runs_and_whose_lock_is_free_is_told_with_its_remedy(runs: Path, store: RunStore) -> None:
    gone = add_run_with_checkpoints(store, 1, 2, name="gone")
    add_run_with_checkpoints(store, 1, name="done", lifecycle="finished")
    check = looked_at(runs)["interrupted"]
    assert check.level == "warn"
    assert f"gone ({gone})" in check.seen
    assert "done" not in check.seen
    assert check.remedy == f"`simclr-tui resume {gone}`"


def test_a_live_run_is_not_called_interrupted(runs: Path, store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 1, name="alive")
    with Holder(runs, run_id):
        found = looked_at(runs)
        assert "interrupted" not in found
        assert found["runs"].seen == "1 run, 1 of them with a live trainer"
    assert "interrupted" in looked_at(runs)


def test_a_run_that_the_store_does_not_know_is_bad(runs: Path, store: RunStore) -> None:
    add_run_with_checkpoints(store, 1, lifecycle="finished")
    lost = orphan(runs, 5)
    check = looked_at(runs)["run table"]
    assert check.level == "bad"
    assert lost in check.seen
    assert "--rebuild" in check.remedy


def test_checkpoints_without_a_row_and_rows_without_a_checkpoint_are_told(runs: Path, store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 1, 2, 3)
    store.forget_checkpoint(run_id, 2)
    for path in (runs / run_id / "checkpoints").glob("step-1*"):
        path.unlink()
    found = looked_at(runs)
    assert f"{run_id} step 2" in found["checkpoint rows"].seen
    assert f"{run_id} step 1" in found["checkpoint files"].seen
    assert found["checkpoint files"].level == "warn"
    for path in (runs / run_id / "checkpoints").glob("step-*"):
        path.unlink()
    assert looked_at(runs)["checkpoint files"].level == "bad"
    store.lifecycle(run_id, "finished", "finished by a test")
    assert looked_at(runs)["checkpoint files"].level == "warn"


def test_checkpoints_of_a_live_run_may_change_while_one_looks(runs: Path, store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 1, 2)
    store.forget_checkpoint(run_id, 2)
    with Holder(runs, run_id):
        assert "checkpoint rows" not in looked_at(runs)


def test_places_of_the_dead_in_the_queue_are_told(runs: Path, store: RunStore) -> None:
    dead = add_run_with_checkpoints(store, 1, name="dead", lifecycle="finished")
    kept = add_run_with_checkpoints(store, 1, name="kept", lifecycle="interrupted")
    for run_id in (dead, kept):
        put_row(store, run_id, "cpu", time.time())
    checks = list(module.waiting(runs))
    assert [check.level for check in checks] == ["ok", "warn"]
    assert dead in checks[0].seen
    assert checks[1].remedy == f"`simclr-tui resume {kept} --queue`"


def test_without_a_store_that_can_be_read_the_disk_is_looked_at_still(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store, 1, 2)
    damage(runs)
    found = {check.name: check for _, check in examine(runs)}
    assert found["store"].level == "bad"
    assert "--restore" in found["store"].remedy
    assert run_id in found["run table"].seen


def test_nothing_at_all_is_an_empty_machine_and_nothing_bad(runs: Path) -> None:
    found = list(examine(runs))
    assert all(check.level != "bad" for _, check in found)
    assert {"machine", "runs folder", "logging out"} <= {group for group, _ in found}
    assert not runs.exists()


def test_a_group_that_fails_itself_is_one_more_finding(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Check:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("trainer.doctor.machine.memory", broken)
    (check,) = (check for _, check in examine(runs) if check.name == "broken")
    assert check.level == "unknown"
    assert "ZeroDivisionError" in check.seen
