"""Checkpoints in words, and what is done with them."""

import dataclasses
from pathlib import Path

import pytest

from simclr_tui.run import checkpoint_deeds
from simclr_tui.run.checkpoint_words import state_of, table, totals, what_goes_next
from tests.trainer.doctor.checkpoint_files import add_run_with_checkpoints
from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.store.records import Checkpoint, Run
from trainer.store.runs import RunStore

NOW = 1_700_000_000.0


def checkpoint(step: int, **changes: object) -> Checkpoint:
    values: dict[str, object] = {
        "run_id": "r",
        "step": step,
        "epoch": step // 10,
        "path": f"r/checkpoints/step-{step}.pt",
        "bytes": 1 << 20,
        "sha256": "0" * 64,
        "reason": "interval",
        "knn_top1": None,
        "seconds": 0.1,
        "at": NOW - 90,
        "verified_at": NOW - 3700,
    }
    return Checkpoint(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def two_kept(run: Run) -> Run:
    config = dataclasses.replace(PretrainConfig.from_json(run.config), keep_checkpoints=2, keep_every_epochs=0)
    return dataclasses.replace(run, config=config.to_json())


def test_a_line_says_why_one_is_kept_and_when_its_bytes_were_right(two_kept: Run) -> None:
    rows = [checkpoint(40), checkpoint(30), checkpoint(20, knn_top1=0.5), checkpoint(10, verified_at=None)]
    lines = table(two_kept, rows, frozenset({10}), NOW)
    assert lines[0] == ["40", "4", "1 min", "1 MiB", "–", "newest", "✓ 1 h ago"]
    assert [line[5] for line in lines] == ["newest", "newest", "best", "pinned"]
    assert lines[3][6] == "▲ not verified"
    assert totals(rows) == "4 checkpoints · 4 MiB · 1 not verified"
    assert state_of(rows[3]) == "not verified"
    assert state_of(rows[0], {40}) == "damaged"


def test_what_goes_next_is_what_retention_will_let_go(two_kept: Run) -> None:
    rows = [checkpoint(40), checkpoint(30), checkpoint(20, knn_top1=0.5)]
    assert what_goes_next(two_kept, rows, frozenset(), NOW).endswith("step 30 goes once the next one is written")
    assert "nothing goes" in what_goes_next(two_kept, rows, frozenset({30}), NOW)
    assert "nothing goes" in what_goes_next(two_kept, rows[2:], frozenset(), NOW)
    assert what_goes_next(two_kept, [], frozenset(), NOW) == ""


@pytest.fixture
def store(runs: Path) -> RunStore:
    return RunStore.open(runs)


def test_reading_back_finds_what_is_right_and_what_is_damaged(store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 10, 20, name="kept")
    assert "step 20 of kept read back right" in checkpoint_deeds.do(store, run_id, "check", [20])
    assert "all 2 checkpoints" in checkpoint_deeds.do(store, run_id, "check", [10, 20])
    (store.runs_path / store.checkpoints(run_id)[0].path).write_bytes(b"other bytes")
    with pytest.raises(UsageError, match="damaged: step 20 of kept"):
        checkpoint_deeds.do(store, run_id, "check", [10, 20])
    assert {row.step: row.verified_at is not None for row in store.checkpoints(run_id)} == {20: False, 10: True}
    store.close()


def test_pinning_and_unpinning_are_told(store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 10, name="kept")
    assert checkpoint_deeds.do(store, run_id, "pin", [10]) == "step 10 of kept stays for good"
    assert store.pinned_checkpoints(run_id) == {10}
    assert "left to retention" in checkpoint_deeds.do(store, run_id, "unpin", [10])
    assert store.pinned_checkpoints(run_id) == frozenset()
    with pytest.raises(UsageError, match="no checkpoint of step 99 any more"):
        checkpoint_deeds.do(store, run_id, "pin", [99])
    store.close()


def test_an_export_is_the_same_bytes_and_overwrites_nothing(store: RunStore, tmp_path: Path) -> None:
    run_id = add_run_with_checkpoints(store, 10, name="kept")
    target = tmp_path / "mine.pt"
    said = checkpoint_deeds.do(store, run_id, "export", [10], target)
    assert str(target) in said
    assert "weights_only=True" in said
    source = store.runs_path / store.checkpoints(run_id)[0].path
    assert target.read_bytes() == source.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        checkpoint_deeds.do(store, run_id, "export", [10], target)
    with pytest.raises(UsageError, match="can't be written"):
        checkpoint_deeds.do(store, run_id, "export", [10], tmp_path / "no" / "such" / "folder.pt")
    source.write_bytes(b"damaged")
    with pytest.raises(UsageError, match="does not read back right"):
        checkpoint_deeds.do(store, run_id, "export", [10], tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine.pt", "runs"]
    store.close()
