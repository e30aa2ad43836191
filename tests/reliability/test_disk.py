"""A full disk: training goes on, the older checkpoint stands, and what could not be written is written later."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, scores, steps, until
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import RunStore


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.timeout(300)
def test_a_full_disk_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    """It stays full over checkpoints and the ends of epochs, and the log lies on it too."""
    runs = small_disk / "runs"
    trainer = Trainer(runs, *options(epochs="30", keep_checkpoints="2"))
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and bool(store.checkpoints(newest_run(runs))))
    run_id = newest_run(runs)
    filler = small_disk / "filler"
    fill(filler)
    time.sleep(8)
    assert trainer.process.is_alive(), trainer.said()
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))
    reached = store.last_step(run_id)
    assert reached < 240
    filler.unlink()
    assert trainer.wait() == 0, trainer.said()
    assert "Traceback" not in trainer.said()
    calm = tmp_path / "calm"
    calm_id = run_to_end(calm, *options(epochs="30", checkpoint_seconds="600"))
    assert steps(runs, run_id) == steps(calm, calm_id)
    assert scores(runs, run_id) == scores(calm, calm_id)
    assert store.checkpoints(run_id)[0].reason == "final"
    store.close()


def test_a_pause_on_a_full_disk_is_refused_and_training_goes_on(small_disk: Path, tmp_path: Path) -> None:
    runs = small_disk / "runs"
    trainer = Trainer(runs, *options(epochs="500", checkpoint_seconds="600"), log=tmp_path / "trainer.log")
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    run_id = newest_run(runs)
    # Room for a row or two of the store, and none for a checkpoint.
    filler = small_disk / "filler"
    fill(filler, leave=400_000)
    store.request(run_id, "pause")
    until(lambda: any(event.kind == "pause-refused" for event in store.events(run_id=run_id)))
    reached = store.last_step(run_id)
    until(lambda: store.last_step(run_id) > reached)
    filler.unlink()
    store.request(run_id, "pause")
    assert trainer.wait() == 75
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[0] == store.last_step(run_id)
    store.close()


def fill(path: Path, *, leave: int = 0) -> None:
    """Write a file until the disk is full, then give a little back."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 * 1024))
        except OSError:
            pass
        file.truncate(file.tell() - leave)
