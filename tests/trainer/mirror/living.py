"""Runs that are mirrored in lives of their own, for tests: see lives.py."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.export.filled import filled_run
from tests.trainer.mirror.reading import Value
from trainer.mirror.names import LOGGERS
from trainer.store import RunStore

ROOT = Path(__file__).parents[3]


def mirrored_run(store: RunStore) -> str:
    """A run with rows in all tables. Its samples are a second apart, as real ones are: MLflow keeps two of the same
    millisecond, step and value once."""
    run_id = filled_run(store)
    store.connection.execute("UPDATE device_samples SET at = at + id WHERE run_id = ?", (run_id,))
    return run_id


def needs(name: str) -> None:
    """Skip the test where a logger's package is missing; the `dev` extra has those of all."""
    if find_spec(LOGGERS[name].package) is None:
        pytest.skip(f"{name} is not installed")


def environment(runs: Path) -> dict[str, str]:
    """That of a logger which keeps all it has beside the runs and calls nobody."""
    own = {"WANDB_MODE": "offline", "TRACKIO_DIR": str(runs.parent / "trackio"), "HF_HUB_OFFLINE": "1"}
    rest = {name: text for name, text in os.environ.items() if not name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_"))}
    return rest | own


def lives(
    name: str, runs: Path, run_id: str, *killed_at: int, forgetful: bool = False
) -> tuple[list[Value], dict[str, Any]]:
    """What a logger has after mirrors that were killed at these calls, one after the other, and one that was not."""
    command = [sys.executable, "-m", "tests.trainer.mirror.lives", name, str(runs), run_id]
    command += ["--killed-at", *map(str, killed_at), *(["--forgetful"] if forgetful else [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment(runs), timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return [tuple(one) for one in found["held"]], found["told"]
