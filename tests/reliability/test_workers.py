"""A loader worker that dies or hangs is replaced at the batch that it had, and no bit of the run changes."""

import os
import signal
from pathlib import Path

import pytest

from tests.reliability.trainers import (
    UNSCORED,
    Trainer,
    newest_run,
    options,
    run_to_end,
    scores,
    steps,
    until,
    weights,
    workers,
)
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import RunStore
from trainer.store.records import Event

WAYS = ("kornia", "torchvision")


def line(augment: str) -> list[str]:
    """A tiny run whose batches two workers load."""
    return options(augment=augment, num_workers="2", checkpoint_seconds="600", **UNSCORED)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """A run for each augmentation whose workers all lived."""
    found = {}
    for augment in WAYS:
        runs = tmp_path_factory.mktemp(augment) / "runs"
        found[augment] = (runs, run_to_end(runs, *line(augment)))
    return found


def rebuilt(runs: Path, run_id: str) -> list[Event]:
    """The events of a loader that was rebuilt."""
    store = RunStore.open(runs)
    found = [event for event in store.events(run_id=run_id) if event.kind == "loader-rebuilt"]
    store.close()
    return found


def same(left: tuple[Path, str], right: tuple[Path, str]) -> bool:
    """Whether two runs are the same in every step, score and weight."""
    first, second = weights(*left), weights(*right)
    return (
        steps(*left) == steps(*right)
        and scores(*left) == scores(*right)
        and all(value.equal(second[name]) for name, value in first.items())
    )


def check_a_death(runs: Path, number: int, undisturbed: dict[str, tuple[Path, str]]) -> None:
    """Kill -9 the worker that is asked for a batch, counted from the run's start."""
    augment = WAYS[number % 2]
    run_id = run_to_end(runs, *line(augment), control=f"worker-dies-{number}")
    (event,) = rebuilt(runs, run_id)
    assert "was killed by SIGKILL" in event.message
    assert "the loader was rebuilt at epoch" in event.message
    assert same((runs, run_id), undisturbed[augment])


@pytest.mark.parametrize("number", [1, 12])
def test_a_worker_that_is_killed_is_replaced_without_a_trace(
    runs: Path, undisturbed: dict[str, tuple[Path, str]], number: int
) -> None:
    check_a_death(runs, number, undisturbed)


@pytest.mark.reliability
@pytest.mark.parametrize("number", [2, 3, 5, 8, 9, 14, 16, 17, 22, 24])
def test_a_worker_may_die_at_ten_of_ten_points(
    runs: Path, undisturbed: dict[str, tuple[Path, str]], number: int
) -> None:
    check_a_death(runs, number, undisturbed)


@pytest.mark.reliability
def test_a_worker_that_is_killed_from_outside_is_replaced(runs: Path, store: RunStore, tmp_path: Path) -> None:
    """Wherever it is and whatever the trainer is in the middle of: torch's own handler would raise there."""
    settings = options(num_workers="2", epochs="12", checkpoint_seconds="600", **UNSCORED)
    trainer = Trainer(runs, *settings)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    os.kill(workers(trainer.pid)[0], signal.SIGKILL)
    assert trainer.wait() == 0, trainer.said()
    calm = tmp_path / "calm"
    assert same((runs, newest_run(runs)), (calm, run_to_end(calm, *settings)))
    for event in rebuilt(runs, newest_run(runs)):
        assert "SIGKILL" in event.message


def test_a_worker_that_hangs_is_replaced(runs: Path, undisturbed: dict[str, tuple[Path, str]]) -> None:
    run_id = run_to_end(runs, *line("kornia"), control="worker-hangs")
    events = rebuilt(runs, run_id)
    assert events
    assert "no loader worker gave a batch for 1 s" in events[0].message
    assert same((runs, run_id), undisturbed["kornia"])


def test_a_loader_that_goes_on_with_the_next_batch_would_be_found(
    runs: Path, undisturbed: dict[str, tuple[Path, str]]
) -> None:
    """The negative control."""
    run_id = run_to_end(runs, *line("kornia"), control="batch-skipped")
    assert len(rebuilt(runs, run_id)) == 1
    assert len(steps(runs, run_id)) == 24
    assert not same((runs, run_id), undisturbed["kornia"])


def test_workers_that_die_again_and_again_end_the_run_with_a_sentence(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *line("kornia"), control="workers-die")
    assert trainer.wait() == 1
    run = store.run(newest_run(runs))
    assert run.lifecycle == "failed"
    assert len(rebuilt(runs, run.id)) == 3
    message = store.events(run_id=run.id)[-1].message
    assert message.startswith("--num-workers: loader worker ")
    assert "those that replaced them 3 times; resume with fewer workers" in message
    assert "/dev/shm" in message
    assert "Traceback" not in trainer.said()
    assert Trainer(runs, "--run", run.id, "--num-workers", "0").wait() == 0


def test_a_run_that_was_asked_to_end_gives_way_where_its_workers_were_killed_with_it(
    runs: Path, store: RunStore
) -> None:
    """What a supervisor does that kills a whole group of processes."""
    trainer = Trainer(runs, *options(num_workers="2", epochs="500", checkpoint_seconds="600"))
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 1)
    run_id = newest_run(runs)
    os.kill(trainer.pid, signal.SIGTERM)
    for pid in workers(trainer.pid):
        os.kill(pid, signal.SIGKILL)
    assert trainer.wait() == 143, trainer.said()
    assert rebuilt(runs, run_id) == []
    assert checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[0] == store.last_step(run_id)
