"""A run that is killed goes on by itself as often as was asked for, and ends bit for bit as if it never had been."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.test_resume import assert_same
from tests.reliability.trainers import options, run_to_end, until
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.errors import ExitCode
from trainer.options import given
from trainer.paths import checkpoint_dir
from trainer.process import lock_holder
from trainer.run_options import run_parser
from trainer.start import new_pretrain_run, start_run
from trainer.state import run_state
from trainer.store import RunStore

LONGER = {"epochs": "6", "knn_every": "0", "health_every": "0"}


@pytest.fixture
def supervisors() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Supervisors of a test; a failed test leaves none behind."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for one in found:
        one.kill()
        one.wait()


def make(store: RunStore, **changes: str) -> str:
    """A run that was not started."""
    config = PretrainConfig.from_values(given(run_parser().parse_args(options(**changes)), PretrainConfig))
    return new_pretrain_run(store, config, name="killed")


def kill_after_a_checkpoint(runs: Path, store: RunStore, run_id: str) -> None:
    """kill -9 of the run's trainer once it has begun and saved once more."""
    folder = checkpoint_dir(runs, run_id)
    before = checkpoint.steps_on_disk(folder)
    until(lambda: checkpoint.steps_on_disk(folder) != before and lock_holder(runs, run_id) is not None)
    holder = lock_holder(runs, run_id)
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    until(lambda: lock_holder(runs, run_id) != holder)


@pytest.mark.timeout(300)
def test_killed_twice_it_goes_on_by_itself_to_the_same_end(
    runs: Path, store: RunStore, tmp_path: Path, supervisors: list[subprocess.Popen[bytes]]
) -> None:
    run_id = make(store, **LONGER)
    supervisors.append(start_run(store, run_id, restarts=3))
    for _ in range(2):
        kill_after_a_checkpoint(runs, store, run_id)
    assert supervisors[0].wait(150) == ExitCode.FINISHED
    run = store.run(run_id)
    assert (run.lifecycle, run.restarts_left) == ("finished", 1)
    kinds = [event.kind for event in store.events(run_id=run_id)]
    assert (kinds.count("launched"), kinds.count("resumed")) == (3, 2)
    calm = tmp_path / "calm"
    assert_same((calm, run_to_end(calm, *options(**LONGER))), (runs, run_id))


def test_with_no_restart_it_stays_dead(runs: Path, store: RunStore, supervisors: list[subprocess.Popen[bytes]]) -> None:
    """The control: the same kill, and nobody comes."""
    run_id = make(store, **LONGER)
    supervisors.append(start_run(store, run_id, restarts=0))
    kill_after_a_checkpoint(runs, store, run_id)
    assert supervisors[0].wait(150) == -signal.SIGKILL
    assert run_state(store.run(run_id), runs) == "interrupted"
    assert lock_holder(runs, run_id) is None


@pytest.mark.reliability
def test_a_missing_data_set_is_not_tried_again(
    runs: Path, store: RunStore, tmp_path: Path, supervisors: list[subprocess.Popen[bytes]]
) -> None:
    run_id = make(store)
    config = store.run(run_id).config.replace('"dataset": "shapes"', f'"dataset": "folder:{tmp_path}/gone"')
    assert "gone" in config
    store.update_run(run_id, config=config)
    supervisors.append(start_run(store, run_id, restarts=3))
    assert supervisors[0].wait(150) == ExitCode.USAGE
    run = store.run(run_id)
    assert (run.lifecycle, run.restarts_left) == ("failed", 3)


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_killed_at_every_stage_of_its_life_it_still_ends_the_same(
    runs: Path, store: RunStore, tmp_path: Path, supervisors: list[subprocess.Popen[bytes]]
) -> None:
    """While torch is imported, right after a resume, and several times within an epoch."""
    run_id = make(store, **LONGER)
    supervisors.append(start_run(store, run_id, restarts=5))
    until(lambda: store.run(run_id).lifecycle == "started")
    holder = lock_holder(runs, run_id)
    assert holder is not None
    os.kill(holder, signal.SIGKILL)
    until(lambda: store.run(run_id).restarts_left == 4)
    for _ in range(3):
        kill_after_a_checkpoint(runs, store, run_id)
    assert supervisors[0].wait(200) == ExitCode.FINISHED
    assert store.run(run_id).restarts_left == 1
    calm = tmp_path / "calm"
    assert_same((calm, run_to_end(calm, *options(**LONGER))), (runs, run_id))
