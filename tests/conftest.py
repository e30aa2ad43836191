"""Fixtures that every test may use: a runs folder and a store that is closed again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer.store import RunStore

# Two test processes with two threads each would wait for each other most of the time. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of device locks of these tests alone, so that they wait for nobody else's runs."""
    folder = tmp_path_factory.mktemp("locks")
    os.environ["SIMCLR_TUI_LOCKS"] = str(folder)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder that does not exist yet."""
    return tmp_path / "runs"


@pytest.fixture
def store(runs: Path) -> Iterator[RunStore]:
    """An empty store."""
    opened = RunStore.open(runs)
    yield opened
    opened.close()
