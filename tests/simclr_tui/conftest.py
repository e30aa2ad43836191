"""Runs folders for the tests of the dashboard."""

from pathlib import Path

import pytest

from tests.simclr_tui.support import add_some_runs
from trainer.store.reader import StoreReader
from trainer.store.records import Run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder in which there is nothing yet."""
    return tmp_path / "runs"


@pytest.fixture
def some_runs(runs: Path) -> dict[str, str]:
    """Ids by name of runs in several states, in `runs`."""
    return add_some_runs(runs)


@pytest.fixture
def run(runs: Path, some_runs: dict[str, str]) -> Run:
    """The paused one of them."""
    reader = StoreReader.open(runs)
    found = reader.run(some_runs["resting"])
    reader.close()
    return found
