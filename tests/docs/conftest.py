"""A folder in which the commands and examples of the docs can be run."""

import os
import shutil
from pathlib import Path

import pytest

from simclr_tui.__main__ import main
from tests.trainer.export.filled import filled_run
from trainer.store import RunStore


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages take for granted: four runs, and an old baseline's event files."""
    folder = tmp_path_factory.mktemp("typed")
    store = RunStore.open(folder / "runs")
    for name in ("third", "second", "first", "demo"):
        store.put_epoch(filled_run(store, name=name), 5, {"loss": 0.1, "gpu_util": 93.0, "t_idle": 0.2, "t_epoch": 3.0})
    store.close()
    os.environ["SIMCLR_TUI_RUNS"] = str(folder / "runs")
    try:
        assert main(["export", "second", "--to", "tensorboard", "--out", str(folder / "version_0")]) == 0
    finally:
        del os.environ["SIMCLR_TUI_RUNS"]
    (folder / "lightning_logs").mkdir()
    (folder / "version_0").rename(folder / "lightning_logs" / "version_0")
    return folder


@pytest.fixture
def here(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that one page's commands may change."""
    folder = tmp_path / "typed"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SIMCLR_TUI_RUNS", str(folder / "runs"))
    return folder
