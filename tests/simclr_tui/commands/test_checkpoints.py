"""`checkpoints`: the list, what is kept and why, pinning, and reading every byte again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simclr_tui.__main__ import main
from tests.trainer.test_keeper import make_keeper, save
from trainer.config import PretrainConfig
from trainer.store import RunStore

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def run_id(store: RunStore, runs: Path) -> str:
    """A run with five checkpoints: the best, a milestone and the newest three."""
    made = store.create_run(kind="pretrain", name="a run", config=PretrainConfig().to_json())
    keeper = make_keeper(store, runs, made)
    save(keeper, 10, "best", knn=0.9)
    save(keeper, 20, "milestone", knn=0.2)
    for step in (30, 40, 50, 60):
        save(keeper, step)
    return made


def listed(runs: Path, run_id: str, capsys: Captured, *more: str, code: int = 0) -> list[dict[str, Any]]:
    """The JSON document of the command."""
    capsys.readouterr()
    assert main(["checkpoints", run_id, "--runs-dir", str(runs), "--json", *more]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_each_checkpoint_is_listed_with_the_reason_that_it_is_kept_for(
    runs: Path, run_id: str, capsys: Captured
) -> None:
    found = {row["step"]: row["kept_as"] for row in listed(runs, run_id, capsys)}
    assert found == {60: ["newest"], 50: ["newest"], 40: ["newest"], 20: ["milestone"], 10: ["best"]}
    assert main(["checkpoints", "a run", "--runs-dir", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert "newest" in lines[1]
    assert lines[5].rstrip().endswith("best")
    assert lines[7].startswith("5 checkpoints · ")
    assert lines[7].endswith("step 40 goes once the next one is written")
    assert "verified" in lines[1]


def test_a_checkpoint_is_pinned_and_unpinned(runs: Path, run_id: str, capsys: Captured, store: RunStore) -> None:
    found = listed(runs, run_id, capsys, "--pin", "40")
    assert [row["step"] for row in found if row["pinned"]] == [40]
    keeper = make_keeper(store, runs, run_id)
    for step in (70, 80, 90):
        save(keeper, step)
    assert [row["step"] for row in listed(runs, run_id, capsys)] == [90, 80, 70, 40, 20, 10]
    assert not any(row["pinned"] for row in listed(runs, run_id, capsys, "--unpin", "40"))


def test_what_is_not_there_can_t_be_pinned(runs: Path, run_id: str, capsys: Captured) -> None:
    assert main(["checkpoints", run_id, "--runs-dir", str(runs), "--pin", "7"]) == 2
    assert "--pin: a run has no checkpoint of step 7; `simclr-tui checkpoints" in capsys.readouterr().err


def test_every_byte_is_read_and_one_flipped_bit_is_found(
    runs: Path, run_id: str, capsys: Captured, store: RunStore
) -> None:
    assert {row["state"] for row in listed(runs, run_id, capsys, "--verify")} == {"verified"}
    path = runs / store.checkpoints(run_id)[1].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = {row["step"]: row["state"] for row in listed(runs, run_id, capsys, "--verify", code=1)}
    assert [step for step, state in found.items() if state == "damaged"] == [50]
    assert path.exists()
    assert store.checkpoints(run_id)[1].verified_at is None
    # It counts for nothing from now on: the third newest that is whole stays.
    save(make_keeper(store, runs, run_id, keep_checkpoints=3), 70)
    assert [row.step for row in store.checkpoints(run_id)] == [70, 60, 40, 20, 10]


def test_hashing_needs_no_torch(runs: Path, run_id: str) -> None:
    program = (
        "import sys; from simclr_tui.__main__ import main; "
        f"code = main(['checkpoints', {run_id!r}, '--runs-dir', {str(runs)!r}, '--verify']); "
        "assert 'torch' not in sys.modules; sys.exit(code)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


def test_show_says_as_long_as_checkpoints_can_t_be_written(
    runs: Path, run_id: str, capsys: Captured, store: RunStore
) -> None:
    keeper = make_keeper(store, runs, run_id)
    keeper.failed(61, OSError(28, "No space left on device"))
    assert main(["show", run_id, "--runs-dir", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "checkpoints can't be written" in said
    assert "No space left on device" in said
    save(keeper, 70)
    assert main(["show", run_id, "--runs-dir", str(runs)]) == 0
    assert "can't be written" not in capsys.readouterr().out.replace("checkpoints can be written again", "")
