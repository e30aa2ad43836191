"""What the doctor says of a folder that several people use."""

import grp
import os
import subprocess
from pathlib import Path

import pytest

from tests.people import shared_box, shared_folder
from trainer.config import PretrainConfig
from trainer.doctor import people
from trainer.start import new_pretrain_run
from trainer.store import RunStore


def found(runs: Path) -> list[tuple[str, str]]:
    """Levels with what was seen."""
    return [(check.level, check.seen) for check in people.checks(runs)]


def test_a_folder_of_one_person_is_fine(store: RunStore) -> None:
    new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="first")
    store.runs_path.chmod(0o755)
    assert [level for level, _ in found(store.runs_path)] == ["ok"]


def test_files_that_shut_the_group_out_are_named_with_the_line_that_mends_them() -> None:
    with shared_box() as (box, _, _lars):
        runs = shared_folder(box).rename(box / "our runs")
        store = RunStore.open(runs)
        run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes"), name="first")
        assert found(runs) == [("ok", "the group users shares it")]
        (runs / run_id).chmod(0o700)
        os.chown(runs / "runs.db", -1, 0)
        check = next(people.checks(runs))
        assert check.level == "bad"
        assert check.seen == f"the group users may write the folder, and not: runs.db, {run_id}"
        for command in check.remedy.strip("`").split("; "):
            subprocess.run(["sh", "-c", command], check=True)  # what it tells a person to type
        assert found(runs) == [("ok", "the group users shares it")]
        store.close()


def test_a_folder_without_the_setgid_bit_is_told() -> None:
    with shared_box() as (box, _, _lars):
        runs = shared_folder(box, mode=0o770)
        assert found(runs)[0][0] == "warn"
        assert "no setgid bit" in found(runs)[0][1]


@pytest.mark.parametrize(("level", "is_bad"), [("0", False), ("1", False), ("2", True)])
def test_the_sticky_bit_is_told_where_the_kernel_acts_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str, is_bad: bool
) -> None:
    (tmp_path / "level").write_text(level)
    monkeypatch.setattr(people, "_PROTECTED", tmp_path / "level")
    with shared_box() as (box, _, _lars):
        runs = shared_folder(box, mode=0o3770)
        assert any("sticky" in seen for _, seen in found(runs)) == is_bad


def test_files_of_others_in_a_persons_own_folder_are_told() -> None:
    with shared_box() as (_, anna, lars):
        runs = anna.home / "runs"
        runs.mkdir()
        os.chown(runs, anna.uid, anna.gid)
        (runs / "runs.db").touch()
        os.chown(runs / "runs.db", lars.uid, lars.gid)
        assert found(runs) == [("bad", f"only {anna.name} may write the folder, and files of {lars.name} are in it")]


def test_device_locks_that_others_can_not_use_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(tmp_path / "locks"))
    assert people.device_locks().level == "ok"
    (tmp_path / "locks").touch()
    assert people.device_locks().level == "bad"
    with shared_box() as (box, anna, lars):
        monkeypatch.setenv("SIMCLR_TUI_LOCKS", str(box / "locks"))
        (box / "locks").mkdir(mode=0o700)
        os.chown(box / "locks", anna.uid, anna.gid)
        asks = "from trainer.doctor import people; print(people.device_locks())"
        assert f"is {anna.name}'s and can't be used" in lars.python(asks)


def test_a_group_without_a_name_is_its_number() -> None:
    unused = next(gid for gid in range(50000, 60000) if gid not in {one.gr_gid for one in grp.getgrall()})
    assert people._group_name(unused) == str(unused)
    assert people._group_name(0) == "root"
