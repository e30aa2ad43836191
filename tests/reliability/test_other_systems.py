"""A run without what Linux alone has is the run that Linux trains: as near to macOS as can be come without one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.trainers import UNSCORED, options
from trainer.store.reader import StoreReader

pytestmark = [pytest.mark.reliability, pytest.mark.timeout(300)]


def losses(runs: Path, *program: str, seed: str = "1") -> list[float | None]:
    """The loss of every step of a run that a program trains with two workers."""
    settings = options(**UNSCORED, augment="torchvision", num_workers="2", epochs="2", seed=seed)
    command = [sys.executable, *program, "--headless", "--runs-dir", str(runs), "--name", "tiny", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    reader = StoreReader.open(runs)
    (run,) = reader.runs()
    found = [
        row[0] for row in reader.connection.execute("SELECT loss FROM steps WHERE run_id = ? ORDER BY step", (run.id,))
    ]
    reader.close()
    return found


def test_spawned_workers_and_no_proc_change_no_bit(tmp_path: Path) -> None:
    program = str(Path(__file__).with_name("as_on_macos.py"))
    here = losses(tmp_path / "linux", "-m", "trainer.run")
    assert len(here) == 16
    assert losses(tmp_path / "other", program) == here
    assert losses(tmp_path / "control", "-m", "trainer.run", seed="2") != here
