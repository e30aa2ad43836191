"""Room on the disk: three checkpoints or no start, five or a warning."""

import shutil
from pathlib import Path

import pytest

from trainer.errors import TrainerError
from trainer.room import FEWEST, WARN_BELOW, Room, size

MIB = 2**20


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Free bytes of the disk, to be changed."""
    found = [0]

    def usage(_folder: Path) -> tuple[int, int, int]:
        return shutil._ntuple_diskusage(100 * MIB, 0, found[0])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return found


def test_a_run_starts_from_three_checkpoints_on_and_is_warned_below_five(tmp_path: Path, free: list[int]) -> None:
    for count in range(8):
        for more in (-1, 0):
            told: list[tuple[str, str]] = []
            room = Room(tmp_path, lambda kind, message, told=told: told.append((kind, message)))  # type: ignore[misc]
            free[0] = count * MIB + more
            if free[0] < FEWEST * MIB:
                with pytest.raises(TrainerError, match="checkpoints of 1 MiB each need 3 MiB; free some space"):
                    room.require(MIB)
            else:
                room.require(MIB)
                assert [kind for kind, _ in told] == ["disk-low"] * (free[0] < WARN_BELOW * MIB)


def test_the_warning_comes_once_until_there_was_room_again(tmp_path: Path, free: list[int]) -> None:
    told: list[str] = []
    room = Room(tmp_path, lambda _, message: told.append(message))
    for free[0] in (9 * MIB, 4 * MIB, 3 * MIB, 1 * MIB, 9 * MIB, 2 * MIB):
        room.look(MIB)
    assert ["room for 4 more" in told[0], "room for 2 more" in told[1]] == [True, True]
    assert len(told) == 2


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    told: list[str] = []
    room = Room(tmp_path / "not" / "there", lambda _, message: told.append(message))
    room.require(0)
    assert told == []
    with pytest.raises(TrainerError, match="free some space"):
        room.require(2**60)


def test_sizes_are_told_in_the_unit_that_fits() -> None:
    assert [size(n) for n in (0, 999, 1000, 1.5 * 2**20, 90e6, 2**40)] == [
        "0 B",
        "999 B",
        "0.977 KiB",
        "1.5 MiB",
        "85.8 MiB",
        "1,024 GiB",
    ]
