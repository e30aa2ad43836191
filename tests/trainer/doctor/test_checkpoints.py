"""Every damaged checkpoint that is read is told, and what is left unread is told too."""

from pathlib import Path

import pytest

from tests.trainer.doctor.checkpoint_files import orphan, put_checkpoint_files
from tests.trainer.test_manifest import flip_bit
from trainer.doctor import checkpoints
from trainer.doctor.check import Check
from trainer.doctor.checkpoints import Depth, Survey, damaged_ones, survey, verdict
from trainer.manifest import Manifest, fault_of, run_folders
from trainer.paths import new_run_id


def looked_at(runs: Path, depth: Depth = "newest", budget_bytes: int = 1 << 30) -> Survey:
    return survey(run_folders(runs)[0], depth=depth, budget_bytes=budget_bytes)


def lines(found: Survey) -> list[Check]:
    return list(verdict(found, {}))


def test_sound_checkpoints_are_one_line(runs: Path) -> None:
    runs.mkdir()
    assert [check.seen for check in lines(looked_at(runs))] == ["there is none yet"]
    orphan(runs, 1, 2, 3)
    (check,) = lines(looked_at(runs))
    assert (check.level, check.remedy) == ("ok", "")
    assert check.seen.startswith("3 of 3 read and compared with their SHA-256")


@pytest.mark.parametrize("depth", ["newest", "all"])
def test_a_flipped_bit_in_any_checkpoint_is_told_with_what_happens_next(runs: Path, depth: Depth) -> None:
    run_id = orphan(runs, 10, 20, 30)
    for step in (30, 20):
        (path,) = (runs / run_id / "checkpoints").glob(f"step-{step}-*.pt")
        flip_bit(path)
    _, *faults = lines(looked_at(runs, depth))
    assert [check.level for check in faults] == ["bad", "bad"]
    assert all("goes on from step 10" in check.remedy for check in faults)
    (path,) = (runs / run_id / "checkpoints").glob("step-10-*.pt")
    flip_bit(path)
    _, *faults = lines(looked_at(runs, depth))
    assert len(faults) == 3
    assert all("from a copy" in check.remedy for check in faults)


def test_of_a_finished_run_the_steps_behind_a_sound_checkpoint_can_be_taken_again(runs: Path) -> None:
    """It is never started again, so that no next start sets anything aside."""
    run_id = orphan(runs, 1, 2)
    next((runs / run_id / "checkpoints").glob("step-2-*.pt")).write_bytes(b"")
    found = survey([runs / run_id], depth="all")
    (bad,) = [check for check in verdict(found, {}, {run_id}) if check.level == "bad"]
    assert bad.remedy.startswith(f"`simclr-tui fork {run_id} --step 1`")


def test_a_quick_look_reads_nothing_and_says_so(runs: Path) -> None:
    run_id = orphan(runs, 1, 2)
    (path,) = (runs / run_id / "checkpoints").glob("step-2-*.pt")
    flip_bit(path)
    (check,) = lines(looked_at(runs, "sizes"))
    assert check.level == "ok"
    assert "of 2 (" in check.seen
    assert "--all-checkpoints" in check.remedy


def test_the_newest_of_each_run_is_read_whatever_the_budget_and_older_ones_as_far_as_it_goes(runs: Path) -> None:
    for _ in range(3):
        run_id = new_run_id()
        for step in (1, 2, 3):
            put_checkpoint_files(runs, run_id, step, data=f"{run_id} {step}".encode().ljust(100))
    tight, half, all_of_them = (
        looked_at(runs, budget_bytes=0),
        looked_at(runs, budget_bytes=500),
        looked_at(runs, "all"),
    )
    assert (tight.read, tight.left_out, tight.left_out_bytes) == (3, 6, 600)
    assert (half.read, half.left_out) == (5, 4)
    assert (all_of_them.read, all_of_them.left_out) == (9, 0)
    wide = looked_at(runs)
    assert (wide.read, wide.left_out) == (9, 0)


def test_missing_and_truncated_weights_and_bad_manifests_are_told_without_reading(runs: Path) -> None:
    run_id = orphan(runs, 1, 2, 3, 4)
    folder = runs / run_id / "checkpoints"
    (first,) = folder.glob("step-1-*.pt")
    first.unlink()
    (second,) = folder.glob("step-2-*.pt")
    second.write_bytes(b"")
    (folder / "step-3.json").write_text("{}")
    found = looked_at(runs, "sizes")
    assert [which for _, which, _ in found.faults] == ["step-1", "step-2", "step-3"]
    assert found.steps(run_id) == [4]


@pytest.mark.parametrize("moment", ["before its weights are looked at", "before its weights are read"])
def test_a_checkpoint_that_its_trainer_deletes_meanwhile_is_no_fault(
    runs: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    run_id = orphan(runs, 1, 2)
    looks = []

    def fault_after_pruning(manifest: Manifest, **how: bool) -> str | None:
        looks.append(manifest.step)
        if manifest.step == 1 and looks.count(1) == (1 if moment.endswith("looked at") else 2):
            for path in (runs / run_id / "checkpoints").glob("step-1*"):
                path.unlink()
        return fault_of(manifest, **how)

    monkeypatch.setattr(checkpoints, "fault_of", fault_after_pruning)
    found = looked_at(runs, "all")
    assert found.faults == []
    assert found.steps(run_id) == [2]


def test_a_thousand_faults_are_not_a_thousand_lines(runs: Path) -> None:
    run_id = orphan(runs, *range(1, 101))
    for path in (runs / run_id / "checkpoints").glob("*.pt"):
        path.write_bytes(b"")
    checks = lines(looked_at(runs))
    assert len(checks) < 30
    assert checks[-1].seen == "80 more are damaged"


def test_what_was_set_aside_and_what_was_cut_off_is_listed(runs: Path) -> None:
    run_id = orphan(runs, 1)
    folder = runs / run_id / "checkpoints"
    assert list(damaged_ones([runs / run_id])) == []
    (folder / "step-2.json.damaged").write_text("{}")
    (folder / "step-2-00000000.pt.damaged").write_bytes(b"x" * 2048)
    (folder / "step-2-00000000.pt.damaged-2").write_bytes(b"x")
    (folder / "step-3-00000000.pt.tmp").write_bytes(b"x")
    aside, halves = damaged_ones([runs / run_id])
    assert (aside.level, halves.level) == ("warn", "ok")
    assert f"{run_id}/checkpoints/step-2.json.damaged" in aside.seen
    assert "3 files of damaged checkpoints" in aside.seen
