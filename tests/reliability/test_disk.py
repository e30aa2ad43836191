"""A full disk: training goes on, the older checkpoint stands, and what could not be written is written later.

The negative control writes a checkpoint in place, as torch.save does.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, scores, steps, until
from tests.small_disk import mounted
from tests.trainer.test_checkpoint import content
from tests.trainer.test_store import make_run, step_row
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.errors import StoreError
from trainer.keeper import CheckpointKeeper
from trainer.paths import checkpoint_dir
from trainer.store import RunStore


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB of its own."""
    with mounted(tmp_path / "small", "16m") as folder:
        yield folder


@pytest.mark.timeout(300)
def test_a_full_disk_loses_nothing(small_disk: Path, tmp_path: Path) -> None:
    """It stays full over checkpoints and the ends of epochs, and the log lies on it too."""
    runs = small_disk / "runs"
    longer = {"epochs": "12", "keep_checkpoints": "2", "knn_every": "4", "validate_every": "4", "health_every": "0"}
    trainer = Trainer(runs, *options(**longer))
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and bool(store.checkpoints(newest_run(runs))))
    run_id = newest_run(runs)
    filler = small_disk / "filler"
    fill(filler)
    time.sleep(6)  # longer than what must not be left out waits for its next try
    assert trainer.process.is_alive(), trainer.said()
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))
    reached = store.last_step(run_id)
    assert reached < 96
    filler.unlink()
    assert trainer.wait() == 0, trainer.said()
    assert "Traceback" not in trainer.said()
    calm = tmp_path / "calm"
    calm_id = run_to_end(calm, *options(**longer | {"checkpoint_seconds": "600"}))
    assert steps(runs, run_id) == steps(calm, calm_id)
    assert scores(runs, run_id) == scores(calm, calm_id)
    assert store.checkpoints(run_id)[0].reason == "final"
    kinds = [event.kind for event in store.events(run_id=run_id)]
    assert kinds.count("checkpoint-failed") == kinds.count("checkpoint-recovered")
    assert store.checkpoint_failure(run_id) is None
    store.close()


@pytest.mark.timeout(300)
def test_no_run_begins_or_goes_on_without_room_for_three_checkpoints_and_five_warn(
    small_disk: Path, tmp_path: Path
) -> None:
    runs, log = small_disk / "runs", tmp_path / "trainer.log"
    trainer = Trainer(runs, *options(epochs="500", checkpoint_seconds="600"), log=log)
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    run_id = newest_run(runs)
    store.request(run_id, "pause")
    assert trainer.wait() == 75
    reached, size = store.last_step(run_id), store.checkpoints(run_id)[0].bytes
    filler = small_disk / "filler"
    fill(filler, leave=int(2.5 * size))
    for which in (("--run", run_id), options(epochs="500")):
        refused = Trainer(runs, *which, log=log)
        assert refused.wait() == 1
        run = store.run(newest_run(runs))
        assert run.lifecycle == "failed"
        message = store.events(run_id=run.id)[-1].message
        assert "free and 3 checkpoints of" in message
        assert message.endswith("free some space, or name another --runs-dir")
        assert len(store.steps(run.id)) == (reached if run.id == run_id else 0)
    assert "Traceback" not in refused.said()
    with filler.open("rb+") as file:
        file.truncate(filler.stat().st_size - 2 * size)
    again = Trainer(runs, "--run", run_id, log=log)
    until(lambda: store.last_step(run_id) > reached)
    again.kill()
    (warning,) = [event for event in store.events(run_id=run_id) if event.kind == "disk-low"]
    assert "room for 4 more checkpoints" in warning.message or "room for 3 more checkpoints" in warning.message
    store.close()


PAGE = 4096


def cycle(store: RunStore, keeper: CheckpointKeeper, run_id: str, step: int) -> None:
    """Commit a step and save after it."""
    store.append(run_id, [step_row(step, float(step))])
    keeper.save(content(step), step=step, epoch=1, reason="interval")


def empty_the_log(store: RunStore) -> None:
    """Let SQLite give back the space of its log, so that the next write has to ask for it."""
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_wherever_in_a_save_the_disk_gets_full_what_was_there_stands(small_disk: Path) -> None:
    """One page more is left free each time, until a save and commit goes through however it is tried."""
    runs = small_disk / "runs"
    store = RunStore.open(runs)
    run_id = make_run(store)
    keeper = CheckpointKeeper(store, runs, run_id, PretrainConfig(keep_checkpoints=2, keep_every_epochs=0))
    step = 2
    for first in (1, 2):
        cycle(store, keeper, run_id, first)
    failed, passed, pages = 0, 0, 0
    filler = small_disk / "filler"
    while passed < 8:
        empty_the_log(store)
        fill(filler, leave=pages * PAGE, block=PAGE)
        committed, on_disk = store.last_step(run_id), checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))
        try:
            cycle(store, keeper, run_id, step + 1)
        except (OSError, StoreError):
            failed += 1
            found = keeper.newest()
            assert found is not None
            assert found[0]["step"] in (on_disk[0], step + 1)
            rows = store.steps(run_id)
            assert [row["loss"] for row in rows] == [float(row["step"]) for row in rows]
            assert len(rows) in (committed, committed + 1)
        else:
            passed += 1
        filler.unlink()
        if store.last_step(run_id) > committed:
            step += 1
        cycle(store, keeper, run_id, step + 1)  # there is space again
        step += 1
        assert store.last_step(run_id) == step
        assert keeper.newest(owner=True)[0]["step"] == step  # type: ignore[index]
        pages += 1
    assert failed >= 8
    assert store.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store.close()


def test_a_checkpoint_that_is_written_in_place_would_be_lost(small_disk: Path) -> None:
    """The negative control."""
    path = small_disk / "checkpoint.pt"
    torch.save({"w": torch.ones(30_000)}, path)
    fill(small_disk / "filler", leave=PAGE, block=PAGE)
    with contextlib.suppress(RuntimeError, OSError):
        torch.save({"w": torch.ones(90_000)}, path)
    with pytest.raises(Exception, match=r"failed|central directory|EOF|archive"):
        torch.load(path, weights_only=True)


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


def test_a_sigterm_on_a_full_disk_ends_the_run_and_does_not_say_that_all_is_saved(
    small_disk: Path, tmp_path: Path
) -> None:
    runs = small_disk / "runs"
    trainer = Trainer(runs, *options(epochs="500", checkpoint_seconds="600"), log=tmp_path / "trainer.log")
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    run_id = newest_run(runs)
    fill(small_disk / "filler", leave=400_000)
    os.kill(trainer.pid, signal.SIGTERM)
    assert trainer.wait() == 143
    (last,) = [event for event in store.events(run_id=run_id) if event.kind == "interrupted"]
    assert last.message.startswith("ended by SIGTERM; its end could not be saved, so the steps since the last")
    assert "everything saved" not in (tmp_path / "trainer.log").read_text()
    store.close()


def fill(path: Path, *, leave: int = 0, block: int = 64 * 1024) -> None:
    """Write a file until the disk is full, then give a little back."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(block))
        except OSError:
            pass
        file.truncate(file.tell() - leave)
