"""Every way to be asked to end: the step is finished, everything is saved, the exit code says what happened."""

import os
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, steps, until
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import RunStore


def begun(runs: Path, store: RunStore) -> str:
    """The id of the newest run once it has logged a step."""
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    return newest_run(runs)


@pytest.mark.parametrize(
    ("number", "code", "workers"), [(signal.SIGTERM, 143, "2"), (signal.SIGINT, 130, "0"), (signal.SIGINT, 130, "2")]
)
def test_a_signal_saves_ends_and_the_run_goes_on_exactly(
    runs: Path, store: RunStore, tmp_path: Path, number: int, code: int, workers: str
) -> None:
    """With workers the signal is sent to them as well, as a terminal and a supervisor do."""
    line = options(num_workers=workers, checkpoint_seconds="600")
    trainer = Trainer(runs, *line)
    run_id = begun(runs, store)
    for pid in [*children(trainer.pid), trainer.pid]:
        os.kill(pid, number)
    assert trainer.wait() == code
    run = store.run(run_id)
    assert (run.lifecycle, run.exit_code) == ("interrupted", code)
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[0] == store.last_step(run_id)
    assert Trainer(runs, "--run", run_id).wait() == 0
    calm = tmp_path / "calm"
    assert steps(runs, run_id) == steps(calm, run_to_end(calm, *line))


def children(pid: int) -> list[int]:
    """Process ids of the children of a process."""
    return [child.pid for child in psutil.Process(pid).children()]


def test_a_lost_terminal_changes_nothing(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options())
    run_id = begun(runs, store)
    os.kill(trainer.pid, signal.SIGHUP)
    assert trainer.wait() == 0
    assert "pretraining, step 24 of 24 epoch 3/3" in trainer.said()
    assert store.run(run_id).lifecycle == "finished"


def test_sigusr1_saves_and_goes_on(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(checkpoint_seconds="600", knn_every="0"))
    run_id = begun(runs, store)
    os.kill(trainer.pid, signal.SIGUSR1)
    assert trainer.wait() == 0
    assert "asked" in {row.reason for row in store.checkpoints(run_id)}


def test_no_worker_outlives_a_trainer_that_was_killed(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(num_workers="2", epochs="500"))
    begun(runs, store)
    workers = children(trainer.pid)
    assert len(workers) == 2
    trainer.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), seconds=10)


def test_of_many_trainers_of_one_run_exactly_one_trains(runs: Path, store: RunStore) -> None:
    run_id = run_to_end(runs, *options(epochs="1"))
    config = store.run(run_id).config
    other = store.create_run(kind="pretrain", name="contested", config=config)
    trainers = [Trainer(runs, "--run", other) for _ in range(6)]
    codes: list[int] = []
    threads = [threading.Thread(target=lambda one=one: codes.append(one.wait())) for one in trainers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [event for event in store.events(run_id=other) if event.kind in ("started", "resumed")]
    assert len(started) == 1
    assert sorted(codes).count(75) + sorted(codes).count(0) == 6
    assert steps(runs, other) == steps(runs, run_id)


def test_a_signal_while_images_are_loaded_ends_the_run_before_its_first_step(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(image_size="224", limit_per_class="500"))
    until(lambda: "loading" in trainer.said())
    os.kill(trainer.pid, signal.SIGTERM)
    asked_at = time.monotonic()
    assert trainer.wait() == 143
    assert time.monotonic() - asked_at < 10
    assert store.steps(newest_run(runs)) == []
    assert store.run(newest_run(runs)).lifecycle == "interrupted"
