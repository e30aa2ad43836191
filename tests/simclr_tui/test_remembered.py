"""What is remembered of a runs folder."""

from pathlib import Path

import pytest

from simclr_tui.remembered import Remembered, state_file


def test_what_was_told_is_there_the_next_time_and_for_this_folder_alone(runs: Path, tmp_path: Path) -> None:
    Remembered(runs).put("sort", ["loss", True])
    assert Remembered(runs).get("sort") == ["loss", True]
    assert Remembered(tmp_path / "other").get("sort") is None
    assert not runs.exists()


def test_two_dashboards_on_a_folder_lose_nothing_of_each_other(runs: Path) -> None:
    one, other = Remembered(runs), Remembered(runs)
    one.put("sort", "loss")
    other.put("theme", "light")
    assert (Remembered(runs).get("sort"), Remembered(runs).get("theme")) == ("loss", "light")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"null"])
def test_a_damaged_file_counts_as_empty_and_is_written_anew(runs: Path, content: bytes) -> None:
    path = state_file(runs)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    remembered = Remembered(runs)
    assert remembered.get("sort", "state") == "state"
    remembered.put("sort", "loss")
    assert Remembered(runs).get("sort") == "loss"


def test_a_folder_that_cant_be_written_is_said_once_and_the_value_still_holds(runs: Path) -> None:
    path = state_file(runs)
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file where the folder would be")
    said: list[str] = []
    remembered = Remembered(runs, said.append)
    remembered.put("sort", "loss")
    remembered.put("theme", "light")
    assert remembered.get("sort") == "loss"
    assert len(said) == 1
    assert str(path) in said[0]
