"""Real runs with one piece made slow: the seconds are found in its part and in no other.

The clock that the trainer reads is told to go on by the sleep, so that a busy machine is no reason to fail; a counted
proof has the same with real sleeps.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from trainer import augment_torchvision, clock, epoch_timer, loader, loop, objective, pretrain, timing
from trainer.clock import EpochTimes, RunClock
from trainer.control import Control, Intent
from trainer.guard import FiniteGuard
from trainer.loader import Batch, ViewLoader
from trainer.loss import loss_and_metrics
from trainer.model import SimCLRModel
from trainer.online import OnlineScores
from trainer.parts import AUGMENTATION, CHECKPOINT, EPOCH_PARTS, EVALUATION, FORWARD, STEP_PARTS, Part, unmeasured
from trainer.recorder import Recorder
from trainer.run import main
from trainer.step import TrainState
from trainer.stepper import EagerStepper
from trainer.store import RunStore, StoreReader

STEPS = 3
SLEPT = 1.2
"""Seconds of sleep in an epoch."""
_ROW_SECONDS = 0.02
"""That writing the row of an epoch takes at least."""
_BUILT_SECONDS = 0.2
"""Between the building of the state and the beginning of training."""
TINY = (
    *("--dataset=shapes", "--limit-per-class=5", "--limit-test-per-class=2", "--image-size=16", "--augment=kornia"),
    *("--backbone=resnet-narrow", "--head-width=8", "--projection-size=8", "--batch-size=16", "--num-workers=0"),
    *("--threads=1", "--device=cpu", "--health-every=0", "--validate-every=0", "--seed=1"),
    *("--no-evaluate-at-end", "--no-checkpoint-in-background"),
)
"""50 images: three steps an epoch, of some milliseconds each."""
# Only what the checkpoint's and the evaluation's turn need: the one saves the epoch before, the other scores.
_RARELY = (
    f"--keep-every-epochs={1 + EPOCH_PARTS.index(CHECKPOINT)}",
    f"--knn-every={2 + EPOCH_PARTS.index(EVALUATION)}",
)


class ToldClock:
    """A clock that stands still but for what is slept, and a microsecond for each time it is read."""

    def __init__(self) -> None:
        self._now = 0.0

    def perf_counter(self) -> float:
        """As in `time`."""
        self._now += 1e-6
        return self._now

    def sleep(self, seconds: float) -> None:
        """As in `time`."""
        self._now += seconds

    def tell(self, patch: pytest.MonkeyPatch) -> None:
        """Let the trainer read this clock."""
        for module in (clock, epoch_timer, loop, timing):
            patch.setattr(module, "time", self)


class Slowness:
    """Makes one piece after the other slow, from one epoch to the next; nothing in the first one."""

    def __init__(self, rest: Callable[[float], None]) -> None:
        self.epoch = 1
        self._rest = rest

    def sleep(self, part: str, times: int) -> None:
        """Sleep if it is this part's turn; that happens so many times in an epoch."""
        if part in EPOCH_PARTS[self.epoch - 2 : self.epoch - 1] and self.epoch >= 2:
            self._rest(SLEPT / times)

    def slow(
        self, patch: pytest.MonkeyPatch, part: str, target: Any, name: str, times: int, when: Any = lambda *_: True
    ) -> None:
        """Let a function sleep before it begins."""
        function = getattr(target, name)

        def slow(*args: Any, **kwargs: Any) -> Any:
            if when(*args):
                self.sleep(part, times)
            return function(*args, **kwargs)

        patch.setattr(target, name, slow)

    def slow_batches(self, patch: pytest.MonkeyPatch) -> None:
        """Let batches be late, but for the first one, and let them be slow to copy."""
        epoch, slowness = ViewLoader.epoch, self

        class SlowToCopy(Tensor):
            def to(self, *args: Any, **kwargs: Any) -> Tensor:
                slowness.sleep("copy", STEPS)
                return self.as_subclass(Tensor).to(*args, **kwargs)

        def batches(*args: Any, **kwargs: Any) -> Iterator[Batch]:
            for number, batch in enumerate(epoch(*args, **kwargs)):
                if number > 0:
                    self.sleep("wait", STEPS - 1)
                yield batch._replace(images=batch.images.as_subclass(SlowToCopy))
            self.sleep("start", 2)  # as the workers of the epoch do that end

        patch.setattr(ViewLoader, "epoch", batches)


def make_slow(patch: pytest.MonkeyPatch, slowness: Slowness) -> None:
    """Slow each piece down, in the part that it belongs to."""
    slowness.slow_batches(patch)
    slowness.slow(patch, "start", loader, "permutation", 2)
    slowness.slow(patch, "augmentation", loader, "augment_with_kornia", STEPS)
    slowness.slow(patch, "forward", SimCLRModel, "forward", STEPS, when=lambda model, *_: model.training)
    slowness.slow(patch, "loss", objective, "loss_and_metrics", STEPS)
    slowness.slow(patch, "backward", Tensor, "backward", STEPS)
    slowness.slow(patch, "optimiser", FiniteGuard, "update", STEPS)
    slowness.slow(patch, "logging", Recorder, "add", STEPS)
    slowness.slow(patch, "checkpoint", TrainState, "payload", 1)  # that of the epoch before, which is timed in this one
    slowness.slow(patch, "evaluation", OnlineScores, "__call__", 1)
    slowness.slow(patch, "unexplained", loop, "learning_rate", STEPS)  # the negative control: it is in no part


@dataclass(frozen=True)
class Timed:
    """What is stored of a run, and what a stopwatch outside said."""

    parts: dict[int, dict[str, float]]
    """Of each epoch."""
    epochs: Sequence[dict[str, Any]]
    stopwatch: Sequence[float]
    """Seconds from the beginning of training at which each epoch ended."""
    noise: float
    """Seconds that the rest of an epoch may take."""


@pytest.fixture(scope="module", params=["told", pytest.param("real", marks=pytest.mark.reliability)])
def timed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Timed:
    """A run of one epoch as it is, and one for each part in which that part is slow."""
    runs = tmp_path_factory.mktemp("slow") / "runs"
    is_told = request.param == "told"
    told = ToldClock()
    ticking: Any = told if is_told else time
    slowness, ends = Slowness(ticking.sleep), []
    train, next_epoch, put = loop.train, RunClock.next_epoch, RunStore.put_epoch

    def train_by_the_clock(*args: Any) -> None:
        ticking.sleep(_BUILT_SECONDS)
        ends.append(ticking.perf_counter())
        train(*args)

    def put_epoch(*args: Any) -> None:
        ticking.sleep(_ROW_SECONDS)
        put(*args)

    def end_epoch(clock: RunClock, at: float | None = None) -> EpochTimes:
        ends.append(ticking.perf_counter())
        slowness.epoch += 1
        return next_epoch(clock, at)

    with pytest.MonkeyPatch.context() as patch:
        if is_told:
            told.tell(patch)
        patch.setattr(pretrain, "train", train_by_the_clock)
        patch.setattr(RunClock, "next_epoch", end_epoch)
        patch.setattr(RunStore, "put_epoch", put_epoch)
        make_slow(patch, slowness)
        assert main(["--runs-dir", str(runs), "--name=a", *TINY, *_RARELY, f"--epochs={1 + len(EPOCH_PARTS)}"]) == 0
    with closing(StoreReader.open(runs)) as reader:
        run_id = reader.find("a").id
        epochs = reader.epochs(run_id)
        parts = {row["epoch"]: anatomy(reader, run_id, row["epoch"]) for row in epochs}
    return Timed(parts, epochs, [end - ends[0] for end in ends[1:]], noise=1e-3 if is_told else SLEPT / 2)


def anatomy(reader: StoreReader, run_id: str, epoch: int, *, sampled: bool = False) -> dict[str, float]:
    """Seconds of the parts of an epoch."""
    rows = [row for row in reader.anatomy(run_id) if row.epoch == epoch]
    assert [row.part for row in rows] == list(EPOCH_PARTS)
    assert {row.part for row in rows if row.is_sampled} == (set(STEP_PARTS) if sampled else set())
    return {row.part: row.seconds for row in rows}


@pytest.mark.parametrize("part", EPOCH_PARTS)
def test_a_sleep_in_a_part_is_found_there_and_nowhere_else(timed: Timed, part: str) -> None:
    seconds = dict(timed.parts[2 + EPOCH_PARTS.index(part)])
    seconds["logging"] -= _ROW_SECONDS  # the row of the epoch before
    assert SLEPT <= seconds.pop(part) + 1e-9 < SLEPT + timed.noise
    assert max(seconds.values()) < timed.noise
    assert timed.parts[1][part] < timed.noise, "the negative control: nothing slept in the first epoch"


def test_the_parts_of_an_epoch_sum_up_to_it(timed: Timed) -> None:
    for row in timed.epochs:
        assert math.fsum(timed.parts[row["epoch"]].values()) == pytest.approx(row["t_epoch"], abs=1e-9)


def test_epochs_sum_up_to_what_a_stopwatch_outside_says(timed: Timed) -> None:
    """No second is lost between two epochs, though rows are written and checkpoints saved there."""
    told = 0.0
    for row, elapsed in zip(timed.epochs, timed.stopwatch, strict=True):
        told += row["t_epoch"]
        assert told == pytest.approx(elapsed, abs=timed.noise)
    assert told > SLEPT * len(EPOCH_PARTS)


def test_training_is_the_epoch_without_scores_and_checkpoints_and_the_speed_is_that_of_training(timed: Timed) -> None:
    for row in timed.epochs:
        parts = timed.parts[row["epoch"]]
        aside = parts[CHECKPOINT] + parts[EVALUATION]
        assert row["t_train"] == pytest.approx(row["t_epoch"] - aside, abs=0.2 * timed.noise)
        assert row["images_per_second"] == pytest.approx(16 * STEPS / row["t_train"])


def test_the_device_is_idle_while_it_waits_for_data_or_the_host_logs(timed: Timed) -> None:
    idle = {name: timed.epochs[1 + number]["t_idle"] for number, name in enumerate(EPOCH_PARTS)}
    # Slow logging sleeps after each of the steps, and after the last one no step follows.
    assert SLEPT <= idle.pop("wait") + 1e-9 < SLEPT + timed.noise
    assert SLEPT * (STEPS - 1) / STEPS <= idle.pop("logging") + 1e-9 < SLEPT * (STEPS - 1) / STEPS + timed.noise
    assert max(idle.values()) < timed.noise


def test_an_epoch_that_is_paused_and_resumed_keeps_its_parts(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views are made by this process between two steps here, which is no waiting."""
    forward, told, augment = SimCLRModel.forward, ToldClock(), augment_torchvision.augment_batch

    def slow_forward(model: SimCLRModel, *args: Any) -> Any:
        told.sleep(0.1 if model.training else 0)
        return forward(model, *args)

    def slow_augmentation(*args: Any) -> Tensor:
        told.sleep(0.2)
        return augment(*args)

    told.tell(monkeypatch)
    monkeypatch.setattr(SimCLRModel, "forward", slow_forward)
    monkeypatch.setattr(loader, "augment_with_torchvision", slow_augmentation)
    with monkeypatch.context() as patch:
        patch.setattr(Control, "intent", lambda control: Intent.PAUSE if control.pulse.read().step == 2 else None)
        settings = (*TINY, "--augment=torchvision", "--epochs=1", "--knn-every=0")
        assert main(["--runs-dir", str(runs), "--name=a", *settings]) == Intent.PAUSE.exit_code
    run_id = store.find("a").id
    assert store.anatomy(run_id) == []
    assert main(["--runs-dir", str(runs), "--run", run_id]) == 0
    seconds = anatomy(store, run_id, 1)
    assert seconds["forward"] == pytest.approx(0.1 * STEPS, abs=1e-3)
    assert seconds["augmentation"] == pytest.approx(0.2 * STEPS, abs=1e-3)
    assert seconds["wait"] < 1e-3
    assert {row.clock for row in store.anatomy(run_id) if row.part == AUGMENTATION} == {"host"}
    assert abs(seconds["unexplained"]) < 1e-3, "the negative control: two steps of the first process would be missing"
    (epoch,) = store.epochs(run_id)
    assert math.fsum(seconds.values()) == pytest.approx(epoch["t_epoch"], abs=1e-9)


def test_parts_of_some_steps_are_marked_as_sampled(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, told = EagerStepper.take, ToldClock()
    told.tell(monkeypatch)

    def take_sampled(stepper: EagerStepper, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """Enter the parts of every second step only, as a step in a CUDA graph does."""
        return take(stepper, batch, lr, part if stepper._state.step % 2 == 0 else unmeasured)

    def slow_loss(*args: Any, **kwargs: Any) -> Any:
        told.sleep(0.1)
        return loss_and_metrics(*args, **kwargs)

    monkeypatch.setattr(objective, "loss_and_metrics", slow_loss)
    monkeypatch.setattr(EagerStepper, "take", take_sampled)
    assert main(["--runs-dir", str(runs), "--name=a", *TINY, "--epochs=1", "--knn-every=0"]) == 0
    seconds = anatomy(store, store.find("a").id, 1, sampled=True)
    (row,) = (row for row in store.anatomy(store.find("a").id) if row.part == FORWARD)
    assert row.steps == 2
    assert seconds["loss"] == pytest.approx(0.1 * STEPS, abs=1e-3), "of three steps, though two were measured"
