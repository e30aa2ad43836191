"""Fixtures that every test may use: a runs folder and a store that is closed again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer.store import RunStore


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
