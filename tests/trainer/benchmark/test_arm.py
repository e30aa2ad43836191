"""What a trial runs with, and what trials share."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.benchmark.benchmarks import TINY
from tests.trainer.benchmark.test_watch import Given
from trainer.benchmark import arm as arm_module
from trainer.benchmark import epoch as epoch_module
from trainer.benchmark.arm import UNCOUNTED_EPOCH, Arm, Arms, ShortLoader
from trainer.benchmark.epoch import EpochFigures, Steps, take_epoch, whole_epoch
from trainer.benchmark.images import Images
from trainer.benchmark.measure import measure, settle, warm_up
from trainer.config import PretrainConfig
from trainer.control import Control
from trainer.device import prepare
from trainer.errors import ConfigError
from trainer.feed import TableFeed
from trainer.fused.table import EpochTables
from trainer.job import Job
from trainer.loader import Batch
from trainer.parts import Part, unmeasured
from trainer.report import make_reporter
from trainer.schedule import learning_rate
from trainer.step import TrainState
from trainer.store import RunStore
from trainer.timing import DeviceClock

BASE = PretrainConfig.from_values(TINY | {"threads": 1, "device": "cpu"})


@pytest.fixture
def job(store: RunStore) -> Job:
    """A benchmark's job."""
    run_id = store.create_run(kind="benchmark", name="a", config="{}")
    return Job(store.run(run_id), store, store.runs_path, Control(store, run_id), make_reporter(headless=False))


@pytest.fixture
def arms(job: Job) -> Arms:
    """Arms of epochs of two steps."""
    return Arms(job, Images(job), steps=2)


def test_trials_that_load_otherwise_train_one_network(arms: Arms) -> None:
    first = arms.make(BASE)
    changes: list[dict[str, Any]] = [{"cache": "vram"}, {"batch_size": 8}, {"augment": "torchvision"}]
    for change in changes:
        assert arms.make(replace(BASE, **change)).state is first.state
    assert arms.make(replace(BASE, optimizer="sgd")).state is not first.state
    assert arms.make(replace(BASE, channels_last="yes")).state is not first.state
    assert arms.kept(BASE) is None


def test_what_is_kept_is_let_go(arms: Arms) -> None:
    first = arms.make(BASE)
    assert not arms.holds_more_than(replace(BASE, batch_size=8))
    assert arms.holds_more_than(replace(BASE, optimizer="sgd"))
    arms.drop(first.machine)
    assert not arms.holds_more_than(replace(BASE, optimizer="sgd"))
    assert arms.make(BASE).state is not first.state


def test_of_captured_steps_those_that_were_used_last_are_kept(arms: Arms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm_module, "_has_own_network", lambda *_: True)
    monkeypatch.setattr(arm_module, "_MOST_KEPT", 2)
    made = [arms.make(replace(BASE, projection_size=size)) for size in (4, 5, 6)]
    assert len({id(arm.state) for arm in made}) == 3
    first, second, third = made
    for arm, own_bytes in ((first, 100), (second, 20)):
        arms.keep(arm)
        arm.own_bytes = own_bytes
    assert (arms.bytes_beside(first), arms.bytes_beside(second), arms.bytes_beside(third)) == (20, 100, 120)
    assert arms.kept(first.config) is first
    arms.keep(third)
    assert [arms.kept(arm.config) for arm in made] == [first, None, third]


def test_an_arm_that_is_taken_up_again_finds_the_process_as_it_needs_it(
    arms: Arms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_module, "_has_own_network", lambda *_: True)
    arm = arms.make(replace(BASE, deterministic="yes"))
    arms.keep(arm)
    arms.make(replace(BASE, deterministic="no"))
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        assert arms.kept(arm.config) is arm
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        prepare(device="cpu", threads=1)


def test_of_networks_that_trials_share_those_that_were_made_last_are_kept(
    arms: Arms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arm_module, "_MOST_KEPT", 1)
    first = arms.make(BASE)
    second = arms.make(replace(BASE, optimizer="sgd"))
    assert arms.make(replace(BASE, optimizer="sgd", batch_size=8)).state is second.state
    assert arms.make(BASE).state is not first.state


def test_the_rate_is_one_of_the_first_epoch_however_long_it_is_measured(arms: Arms) -> None:
    config = replace(BASE, schedule="step")
    arm, rates = arms.make(config), list[float]()
    arm.stepper = SimpleNamespace(take=lambda _, lr: rates.append(lr))
    for batch in [next(arm.loader.epoch(1))] * 12:
        arm.take(batch)
    epoch = [learning_rate(step, 5, config) for step in range(1, 6)]
    assert len(set(epoch)) == 5
    assert rates == [*epoch, *epoch, *epoch[:2]]


def loader(job: Job, steps: int, **changes: Any) -> ShortLoader:
    """A loader of 80 images in batches of 16."""
    config = replace(BASE, **changes)
    return ShortLoader(Images(job).of(config), config, prepare(device="cpu", threads=1), steps=steps, job=job)


def test_an_epoch_ends_early_but_not_before_what_workers_have_loaded_ahead(job: Job) -> None:
    def told(one: ShortLoader) -> tuple[int, int, int]:
        return one.steps, one.steps_per_epoch(), one.all_steps

    assert told(loader(job, 2)) == (2, 2, 5)
    assert told(loader(job, 2, num_workers=1, prefetch_factor=2)) == (2, 4, 5)
    assert told(loader(job, 2, num_workers=4, prefetch_factor=4)) == (2, 5, 5)
    assert told(loader(job, 2, num_workers=4, cache="vram")) == (2, 2, 5)
    assert told(loader(job, 0, num_workers=4)) == (5, 5, 5)
    assert told(loader(job, 99)) == (5, 5, 5)


def test_more_images_in_a_batch_than_there_are_is_refused(job: Job) -> None:
    with pytest.raises(ConfigError, match="--batch-size: 81 is more than the 80 images of train"):
        loader(job, 2, batch_size=81)


@pytest.mark.parametrize(("drop_last", "images", "steps"), [(True, 64, 2), (False, 80, 3)])
def test_images_of_an_epoch_are_those_that_are_trained_on(arms: Arms, drop_last: bool, images: int, steps: int) -> None:
    arm = arms.make(replace(BASE, batch_size=32, drop_last=drop_last))
    assert (arm.images_per_epoch, arm.loader.all_steps) == (images, steps)


def alive(arm: Arm) -> list[int]:
    """Process ids of an arm's workers."""
    iterator = getattr(arm.loader._pool and arm.loader._pool._loader, "_iterator", None)
    return [worker.pid for worker in getattr(iterator, "_workers", [])]


def test_lasting_workers_stay_for_the_next_epoch_and_end_with_the_turn(arms: Arms, job: Job) -> None:
    arm = arms.make(replace(BASE, num_workers=1))
    clock = DeviceClock(arm.machine)
    take_epoch(arm, job, clock, 1)
    first = alive(arm)
    take_epoch(arm, job, clock, 2)
    assert alive(arm) == first != []
    assert arm.state.step == 4
    arm.rest()
    assert not any(Path(f"/proc/{pid}").exists() for pid in first)


def test_others_are_started_for_each_epoch(arms: Arms, job: Job) -> None:
    arm = arms.make(replace(BASE, num_workers=1, persistent_workers=False))
    seen: list[int] = []
    clock = DeviceClock(arm.machine)
    take_epoch(arm, job, clock, 1, at_last_step=lambda: seen.extend(_children()))
    assert len(seen) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)
    take_epoch(arm, job, clock, 2, at_last_step=lambda: seen.extend(_children()))
    assert len(set(seen)) == 2


def _children() -> list[int]:
    import multiprocessing

    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


class Fed:
    """A step that finds its batch as a captured one does: in buffers that stay where they are."""

    mode, sampled_every, warm_up_seconds = "graph", 1, 0.0

    def __init__(
        self, _state: TrainState, loader: ShortLoader, config: PretrainConfig, machine: Any, _tell: Any
    ) -> None:
        self._loader = loader
        self._feed = TableFeed(loader, config, machine, epoch=1)
        self.steps = 0

    def take(self, batch: Batch, _lr: float, _part: Part = unmeasured) -> Tensor:
        assert self._feed.load(batch) is None
        assert torch.equal(self._feed.views(), self._loader.views(batch))
        self.steps += 1
        return torch.zeros(5)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The epochs whose tables were drawn."""
    epochs: list[int] = []
    draw = EpochTables._draw

    def draw_and_note(self: EpochTables, epoch: int) -> tuple[Tensor, Tensor]:
        epochs.append(epoch)
        return draw(self, epoch)

    monkeypatch.setattr(EpochTables, "_draw", draw_and_note)
    return epochs


def test_a_captured_step_that_is_kept_trains_on_the_batches_of_each_turn(
    arms: Arms, job: Job, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run of one epoch too, whose benchmark takes more."""
    monkeypatch.setattr(arm_module, "_has_own_network", lambda *_: True)
    monkeypatch.setattr(arm_module, "make_stepper", Fed)
    config = replace(BASE, cache="vram", augment="fused", epochs=1)
    made = arms.make(config)
    warm_up(made, job)
    made.rest()
    arms.keep(made)
    clock = DeviceClock(made.machine)
    for turn in (1, 2, 3):
        kept = arms.kept(config)
        assert kept is made
        settle(kept, job, is_made_anew=False)
        drawn.clear()
        take_epoch(kept, job, clock, 2 * turn - 1)
        take_epoch(kept, job, clock, 2 * turn)
        kept.rest()
        # The first epoch waits for its own tables, the second one finds them; nothing else is drawn meanwhile.
        assert drawn[:2] == [2 * turn - 1, 2 * turn]
        assert set(drawn[2:]) <= {2 * turn + 1}
    assert made.stepper.steps == 2 + 3 * (1 + 2 * 2)  # type: ignore[attr-defined]
    assert made.loader._config.epochs == UNCOUNTED_EPOCH


def test_a_turn_knows_its_workers_and_leaves_none_though_its_arm_is_kept(
    arms: Arms, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, Any]] = []

    def note_and_compute(steps: Steps, **more: Any) -> EpochFigures:
        told.append(more)
        return whole_epoch(steps, **more)

    monkeypatch.setattr(epoch_module, "whole_epoch", note_and_compute)
    arm = arms.make(replace(BASE, num_workers=1, prefetch_factor=3))
    columns = measure(arm, job, DeviceClock(arm.machine), Given({"gpu_util": 1.0}), 1, host_beside=0, device_beside=0)
    assert _children() == []
    assert told == [{"total": 5, "stock": 3, "workers": 1}] * 2
    assert columns["steps"] == 2
