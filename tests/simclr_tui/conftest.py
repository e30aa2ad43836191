"""Runs folders for the tests of the dashboard."""

from pathlib import Path

import pytest

from simclr_tui.actions import Actions
from tests.simclr_tui.support import add_some_runs
from trainer.store.reader import StoreReader
from trainer.store.records import Run
from trainer.store.runs import RunStore


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


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the runs that would be started, which are only written down."""
    ids: list[str] = []

    def start(_actions: Actions, store: RunStore, run_id: str, **_: object) -> str:
        ids.append(run_id)
        return store.run(run_id).name

    monkeypatch.setattr(Actions, "_start", start)
    return ids
