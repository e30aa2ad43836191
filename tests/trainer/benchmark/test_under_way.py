"""The mark of a turn outlives a trainer that was lost, and nothing else."""

from pathlib import Path

import pytest

from trainer.benchmark.under_way import Lost, UnderWay


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the mark is."""
    return tmp_path / "under-way.json"


def test_a_turn_that_ended_leaves_nothing(path: Path) -> None:
    mark = UnderWay(path)
    mark.begin(3, 2)
    mark.end()
    mark.end()
    assert UnderWay(path).lost is None


def test_losses_in_a_trial_are_counted_until_it_has_had_a_turn(path: Path) -> None:
    UnderWay(path).begin(3, 2)
    again = UnderWay(path)
    assert again.lost == Lost(trial=3, round=2, losses=1)
    again.begin(3, 2)
    assert UnderWay(path).lost == Lost(trial=3, round=2, losses=2)
    again.survived(3)
    again.begin(3, 3)
    assert UnderWay(path).lost == Lost(trial=3, round=3, losses=1)


def test_another_trial_begins_with_no_loss(path: Path) -> None:
    UnderWay(path).begin(3, 2)
    again = UnderWay(path)
    again.survived(1)
    again.begin(1, 3)
    assert UnderWay(path).lost == Lost(trial=1, round=3, losses=1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"trial": "x"}'])
def test_a_mark_that_cannot_be_read_is_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert UnderWay(path).lost is None


def test_a_disk_that_refuses_stops_no_benchmark(tmp_path: Path) -> None:
    mark = UnderWay(tmp_path / "no" / "folder" / "under-way.json")
    mark.begin(1, 1)
    mark.end()
