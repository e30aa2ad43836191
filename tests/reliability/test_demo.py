"""The demo keeps what it says, in three seeds; minutes each, so it is part of the soak."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_demo_learns_ten_points_more_than_pixels_and_the_untrained_encoder(tmp_path: Path, seed: int) -> None:
    command = [sys.executable, "-m", "simclr_tui", "demo", "--runs-dir", str(tmp_path), "--seed", str(seed)]
    alone = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    connection = sqlite3.connect(tmp_path / "runs.db")
    rows = connection.execute("SELECT layer, top1, images FROM evaluations WHERE protocol = 'linear'").fetchall()
    connection.close()
    accuracy = {layer: top1 for layer, top1, _ in rows}
    assert {images for _, _, images in rows} == {1500}
    assert accuracy["h"] >= accuracy["pixels"] + 0.10
    assert accuracy["h"] >= accuracy["untrained"] + 0.10
    assert "simclr-tui show" in done.stdout
