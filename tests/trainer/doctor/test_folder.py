"""The runs folder: real locks of real processes, a real fsync, and room for checkpoints."""

import os
from pathlib import Path

import pytest

from tests.small_disk import mounted
from tests.trainer.doctor.checkpoint_files import orphan
from trainer.doctor import folder, places


def test_a_folder_that_can_be_written_is_fine_and_one_that_is_missing_too(tmp_path: Path) -> None:
    assert folder.is_there(tmp_path).level == "ok"
    missing = folder.is_there(tmp_path / "a" / "b")
    assert (missing.level, missing.remedy) == ("ok", "")
    assert not (tmp_path / "a").exists()


def test_a_file_or_a_broken_link_in_its_place_is_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for path in (tmp_path / "file", tmp_path / "file" / "runs", tmp_path / "link", tmp_path / "link" / "runs"):
        check = folder.is_there(path)
        assert check.level == "bad", path
        assert "--runs-dir" in check.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_folder_that_may_not_be_written_is_bad(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert folder.is_there(tmp_path).level == "bad"
    tmp_path.chmod(0o700)


def test_locks_are_tried_with_a_real_process_and_nothing_is_left(tmp_path: Path) -> None:
    check = folder.locks(tmp_path)
    assert check.level == "ok", check
    assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_locks_exclude_nobody_would_be_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a child that holds no lock is what a file system without locks looks like."""
    monkeypatch.setattr(folder, "_HOLD", "print(flush=True); input()")
    assert folder.locks(tmp_path).level == "bad"
    monkeypatch.setattr(folder, "_HOLD", "raise SystemExit(1)")
    assert folder.locks(tmp_path).level == "bad"


def test_fsync_is_tried_and_nothing_is_left(tmp_path: Path) -> None:
    assert folder.syncing(tmp_path).level in ("ok", "warn")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "level"), [(10.0, "ok"), (5.0, "ok"), (4.9, "warn"), (3.0, "warn"), (2.9, "bad"), (0.0, "bad")]
)
def test_room_is_counted_in_checkpoints(free: float, level: str) -> None:
    largest = 90 << 20
    assert folder._space(int(free * largest), largest).level == level


def test_the_largest_of_the_newest_checkpoints_counts(runs: Path) -> None:
    orphan(runs, 1, data=b"a" * 500)
    other = orphan(runs, 2, data=b"b" * 300)
    (runs / other / "checkpoints" / "step-1.json").write_text("{}")
    assert folder.largest_checkpoint_bytes(runs) == 500
    (check,) = folder.space(runs)
    assert check.level == "ok"
    assert "of 500 B" in check.seen


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """On a real small file system where one may be mounted."""
    with mounted(tmp_path / "small", "64k") as place:
        orphan(place, 1, data=b"a" * 20_000)
        checks = {check.name: check for check in folder.space(place)}
        assert checks["space"].level == "bad"
        assert "no run starts below 3" in checks["space"].seen


def test_the_file_system_is_named(tmp_path: Path) -> None:
    check = places.file_system(tmp_path)
    assert check.level in ("ok", "warn")
    assert places.is_network(tmp_path) is not None
