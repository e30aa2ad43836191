"""What a turn is made of: which epochs it takes, whose figures are which, and what comes before it uncounted."""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.trainer.benchmark.benchmarks import TINY
from tests.trainer.benchmark.test_watch import Given
from trainer import control
from trainer.benchmark import measure as measure_module
from trainer.benchmark.arm import UNCOUNTED_EPOCH, Arm, Arms
from trainer.benchmark.epoch import EpochFigures
from trainer.benchmark.images import Images
from trainer.benchmark.measure import measure, settle, warm_up
from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested
from trainer.job import Job
from trainer.report import make_reporter
from trainer.store import RunStore
from trainer.timing import DeviceClock

BASE = PretrainConfig.from_values(TINY | {"threads": 1, "device": "cpu"})
"""Five steps of an epoch."""


@pytest.fixture
def job(store: RunStore) -> Job:
    """A benchmark's job."""
    run_id = store.create_run(kind="benchmark", name="a", config="{}")
    return Job(store.run(run_id), store, store.runs_path, Control(store, run_id), make_reporter(headless=False))


@pytest.fixture
def make_arm(job: Job) -> Callable[..., Arm]:
    """Makes arms of epochs of three steps."""
    return lambda **changes: Arms(job, Images(job), steps=3).make(replace(BASE, **changes))


class Stepper(SimpleNamespace):
    """A step that does nothing, and notes which processes work for the trainer meanwhile."""

    def __init__(self, mode: str) -> None:
        super().__init__(mode=mode, warm_up_seconds=100.0, workers=[])

    def take(self, *_: object) -> None:
        self.workers.append(len(multiprocessing.active_children()))


def given(arm: Arm, mode: str = "eager") -> Stepper:
    """The stepper that an arm is given for its own."""
    stepper = Stepper(mode)
    arm.stepper = stepper  # type: ignore[assignment]
    return stepper


def test_a_turn_takes_its_own_two_epochs_and_its_rows_have_the_first_before_the_next(
    make_arm: Callable[..., Arm], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there for other trials is no memory of this one, and the pace is that of the epoch without a start."""
    arm, asked = make_arm(), list[int]()

    def take_epoch(_arm: Arm, _job: Job, _clock: Any, epoch: int, *, at_last_step: Any = None) -> EpochFigures:
        asked.append(epoch)
        if at_last_step is not None:
            at_last_step()
        return EpochFigures(t_batch=epoch + 0.1, t_data=epoch + 0.2, t_epoch=10.0 * epoch, idle=1 / epoch, steps=3)

    monkeypatch.setattr(measure_module, "take_epoch", take_epoch)
    monkeypatch.setattr(measure_module, "host_bytes", lambda: 100)
    clock, sampler = DeviceClock(arm.machine), Given({"gpu_util": 7.0, "throttle_reasons": "power brake"})
    columns = measure(arm, job, clock, sampler, 4, host_beside=30, device_beside=0)
    assert asked == [7, 8]
    assert columns == {
        "t_batch": 7.1,
        "t_data": 7.2,
        "t_epoch": 70.0,
        "t_batch_next": 8.1,
        "t_data_next": 8.2,
        "t_epoch_next": 80.0,
        "images_per_second": 1.0,
        "gpu_util": pytest.approx(7.0),
        "idle": 1 / 8,
        "host_memory_bytes": 70,
        "device_memory_bytes": None,
        "steps": 3,
        "dropped": "the device was throttled: power brake",
    }
    assert job.control.pulse.read().step_seconds == pytest.approx(8.1 + 8.2)


@pytest.mark.parametrize(
    ("mode", "is_made_anew", "steps"),
    [("eager", True, 1), ("eager", False, 1), ("graph", True, 5), ("graph", False, 1)],
)
def test_a_turn_is_settled_by_a_step_without_workers_and_by_more_where_one_is_captured(
    make_arm: Callable[..., Arm], job: Job, mode: str, is_made_anew: bool, steps: int
) -> None:
    """No more than the epoch has; a worker that is started for it would be one that the first epoch need not start."""
    arm = make_arm(num_workers=1)
    stepper = given(arm, mode)
    settle(arm, job, is_made_anew=is_made_anew)
    assert stepper.workers == [0] * steps


def test_a_warm_up_is_some_steps_of_an_epoch_that_does_not_count_and_what_the_step_took_before(
    make_arm: Callable[..., Arm], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm, asked = make_arm(), list[int]()
    stepper, epoch = given(arm), arm.loader.epoch

    def asked_epoch(number: int, **more: Any) -> Any:
        asked.append(number)
        return epoch(number, **more)

    monkeypatch.setattr(arm.loader, "epoch", asked_epoch)
    assert 100 < warm_up(arm, job)["warmup_seconds"] < 130
    assert len(stepper.workers) == 2
    assert asked == [UNCOUNTED_EPOCH]


def test_a_pause_is_heard_in_a_warm_up_and_while_a_turn_is_settled(
    make_arm: Callable[..., Arm], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "POLL_SECONDS", 0.0)
    arm = make_arm()
    stepper = given(arm, "graph")
    job.store.request(job.run.id, "pause")
    with pytest.raises(EndRequested):
        warm_up(arm, job)
    with pytest.raises(EndRequested):
        settle(arm, job, is_made_anew=True)
    assert len(stepper.workers) == 2, "one step each"
