"""Runs folders for the tests of the dashboard."""

from pathlib import Path

import pytest

from tests.simclr_tui.support import add_some_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder in which there is nothing yet."""
    return tmp_path / "runs"


@pytest.fixture
def some_runs(runs: Path) -> dict[str, str]:
    """Ids by name of runs in several states, in `runs`."""
    return add_some_runs(runs)
