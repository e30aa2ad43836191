"""Fixtures that every test may use: a runs folder and a store that is closed again."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.people import end_shells
from tests.processes import kill_all_of
from tests.slurm_programs import slurm as slurm
from trainer.paths import store_file
from trainer.store import RunStore

# Two test processes with two threads each would wait for each other most of the time. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, or one worker would still be at them when the others have ended."""
    items.sort(key=lambda item: not item.name.startswith("test_a_fault_at_every_call"))


def pytest_collection_finish() -> None:
    """Keep the collector from what was imported: it lives to the end, and going through it took a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def shells() -> Iterator[None]:
    """End what started processes of other users, if any test had some."""
    yield
    end_shells()


def pytest_unconfigure() -> None:
    """Give it back: libraries that count their objects at the end of the process would call the frozen ones leaked."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of device locks of these tests alone, so that they wait for nobody else's runs."""
    folder = tmp_path_factory.mktemp("locks")
    os.environ["SIMCLR_TUI_LOCKS"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of settings and of what is remembered that are this test's alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("SIMCLR_TUI_NOTIFY", raising=False)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A runs folder that does not exist yet."""
    return tmp_path / "runs"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with nothing in it: making one waits for the disk longer than copying one, and most tests have one."""
    runs = tmp_path_factory.mktemp("empty") / "runs"
    RunStore.open(runs).close()
    return store_file(runs)


@pytest.fixture
def store(runs: Path, empty_store: Path) -> Iterator[RunStore]:
    """An empty store."""
    runs.mkdir(parents=True, exist_ok=True)
    if not store_file(runs).exists():
        shutil.copyfile(empty_store, store_file(runs))
    opened = RunStore.open(runs)
    yield opened
    opened.close()


@pytest.fixture
def no_trainer_is_left(runs: Path, store: RunStore) -> Iterator[None]:
    """Kill the trainers that a test has started, before its store is closed."""
    yield
    kill_all_of(runs)
