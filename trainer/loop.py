"""The main loop (Chen et al. 2020, Algorithm 1): next batch → step → log → checkpoint → poll.

It begins wherever the state says, in the middle of an epoch too, and leaves it only between two steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from trainer.background_save import Saver
from trainer.clock import EpochTimes
from trainer.config import PretrainConfig
from trainer.control import EndRequested, Intent
from trainer.device import Machine, PageReturner
from trainer.epoch_timer import EpochTimer
from trainer.errors import StoreError
from trainer.health_watch import HealthWatch
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.loader import Batch, ViewLoader
from trainer.model import SimCLRModel
from trainer.parts import CHECKPOINT, EVALUATION, LOGGING, START, WAIT
from trainer.recorder import Recorder, StepRecord
from trainer.report import duration
from trainer.schedule import learning_rate
from trainer.step import TrainState
from trainer.stepper import Stepper


@dataclass(frozen=True, slots=True)
class Training:
    """What training uses and does not change."""

    job: Job
    config: PretrainConfig
    machine: Machine
    loader: ViewLoader
    stepper: Stepper
    recorder: Recorder
    timer: EpochTimer
    keeper: CheckpointKeeper
    saver: Saver
    """Writes with the keeper, which is its own alone while it does."""
    measure_epoch: Callable[[SimCLRModel, int], dict[str, Any]]
    """Scores the model at the end of an epoch: columns of `epochs`."""
    health: HealthWatch
    give_back_pages: Callable[[], None] = field(default_factory=PageReturner)
    """Called when an epoch has been scored or looked at."""

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.epochs * self.loader.steps_per_epoch()


def train(training: Training, state: TrainState) -> None:
    """Train until the last epoch is closed.

    Raises:
        EndRequested: the run was asked to end, and has saved itself.
        NonFiniteError: the loss or its gradient is not finite; the last checkpoint stands.
    """
    training.timer.begin()
    state.clock.go_on(time.perf_counter())
    while state.closed_epochs < training.config.epochs:
        epoch = state.closed_epochs + 1
        _train_epoch(training, state, epoch)
        with training.timer.host(LOGGING):
            _close_epoch(training, state, epoch)


def _train_epoch(training: Training, state: TrainState, epoch: int) -> None:
    """Take the steps of an epoch that are left.

    Where the run was asked to end while it waited for a batch, and that was refused, the batches are begun anew.
    """
    steps_per_epoch = training.loader.steps_per_epoch()
    while (done := state.step - state.closed_epochs * steps_per_epoch) < steps_per_epoch:
        _train_on(training, state, epoch, first_batch=done)


def _train_on(training: Training, state: TrainState, epoch: int, *, first_batch: int) -> None:
    timer, part = training.timer, START
    batches = training.loader.epoch(epoch, first_batch=first_batch, part=timer.host)
    while True:
        waited_from = time.perf_counter()
        try:
            with timer.host(part):
                batch = next(batches, None)
                if batch is None:  # the workers of the epoch have ended
                    timer.rename(START)
        except EndRequested as end:
            with timer.host(LOGGING):
                _give_way(training, state, epoch, end.intent)
            return
        if batch is None:
            return
        record = _take_step(training, state, epoch, batch, t_data=time.perf_counter() - waited_from)
        with timer.host(LOGGING):
            training.job.control.beat(state.step)
            training.recorder.add(record)
            _between_steps(training, state, epoch)
        part = WAIT


def _take_step(training: Training, state: TrainState, epoch: int, batch: Batch, *, t_data: float) -> StepRecord:
    span = training.timer.begin_step()
    lr = learning_rate(state.step + 1, training.loader.steps_per_epoch(), training.config)
    if training.job.line is not None:
        training.job.line.pace.add_wait_for_data(t_data)
    metrics = training.stepper.take(batch, lr, training.timer.part)
    training.timer.end_step()
    state.step += 1
    return StepRecord(state.step, epoch, metrics, lr, t_data, span)


def _between_steps(training: Training, state: TrainState, epoch: int) -> None:
    if training.recorder.due or state.guard.has_tripped:
        training.recorder.flush(trained_seconds=state.clock.trained_seconds)
        training.timer.fold()
        _show_progress(training, state, epoch)
        if training.health.is_due_again:
            training.health.judge(step=state.step, recent_loss=training.recorder.recent_loss)
    intent = training.job.control.intent()
    if intent is not None:
        _give_way(training, state, epoch, intent)
    training.saver.look()
    if not training.saver.may_begin:
        return  # what is due or asked for waits for its turn
    if training.job.control.take_save():
        _save(training, state, epoch, "asked")
    elif training.keeper.due:
        _save(training, state, epoch, "interval")


def _close_epoch(training: Training, state: TrainState, epoch: int) -> None:
    """Score the epoch, write its row, and save where that is due.

    The epoch ends with its last commit of steps, where the next one begins: writing its row, judging it and saving it
    are timed as part of the next one.
    """
    figures = _measure(training, state, epoch)
    _insist(training, f"the steps of epoch {epoch}", lambda: _commit_steps(training, state))
    ended = time.perf_counter()
    training.timer.end_epoch(ended)
    times = state.clock.next_epoch(ended)
    _insist(training, f"epoch {epoch}", lambda: _put_epoch(training, epoch, times, figures))
    state.closed_epochs = epoch
    training.health.judge(step=state.step)
    _show_progress(training, state, epoch)
    knn_top1 = figures.get("knn_top1")
    training.saver.look()
    if epoch == training.config.epochs:
        _insist(training, "the final checkpoint", lambda: _write(training, state, epoch, "final", knn_top1))
    elif training.keeper.is_milestone(epoch):
        _save(training, state, epoch, "milestone", knn_top1)
    elif not training.saver.may_begin:
        return
    elif training.saver.is_better(knn_top1):
        _save(training, state, epoch, "best", knn_top1)
    elif training.keeper.due:
        _save(training, state, epoch, "interval", knn_top1)


def _measure(training: Training, state: TrainState, epoch: int) -> dict[str, Any]:
    while True:
        training.recorder.flush(trained_seconds=state.clock.trained_seconds)
        try:
            with training.timer.host(EVALUATION), state.clock.aside(), training.job.control.phase("evaluating"):
                figures = training.measure_epoch(state.scored_model, epoch)
                if is_looked_at := training.health.due(epoch):
                    training.health.measure(state.scored_model, step=state.step)
                if figures or is_looked_at:  # steps alone leave nothing that the next ones would not ask for again
                    training.give_back_pages()
                return figures
        except EndRequested as end:
            _give_way(training, state, epoch, end.intent)


def _put_epoch(training: Training, epoch: int, times: EpochTimes, figures: dict[str, Any]) -> None:
    """Write the epoch's row: means of its committed steps, so that an interruption in its middle loses none of them.

    Raises:
        StoreError: it could not be committed.
    """
    columns = {
        "t_train": times.t_train,
        "t_epoch": times.t_epoch,
        "t_idle": times.t_idle,
        "images_per_second": training.loader.images_per_epoch() / times.t_train,
    }
    job = training.job
    job.store.put_anatomy(job.run.id, epoch, times.parts)
    job.store.put_epoch(job.run.id, epoch, job.store.epoch_means(job.run.id, epoch) | columns | figures)


def _commit_steps(training: Training, state: TrainState) -> None:
    """Commit every step that was taken.

    Raises:
        StoreError: the store refused.
        NonFiniteError: a loss or its gradient is not finite.
    """
    training.recorder.flush(trained_seconds=state.clock.trained_seconds, retry=True)
    if not training.recorder.all_committed:
        raise StoreError("steps that were taken could not be committed")


def _insist(training: Training, what: str, write: Callable[[], None]) -> None:
    """Write what must not be left out. On a full disk wait for space, since going on would lose it.

    Raises:
        EndRequested: a signal came while waiting; the last checkpoint stands.
    """
    training.job.insist(write, lambda error: f"{what} not written ({error}); training waits, free some space")


def _give_way(training: Training, state: TrainState, epoch: int, intent: Intent) -> None:
    """Save and leave. Where nothing can be saved, a person's wish is refused and training goes on.

    Raises:
        EndRequested: normally.
    """
    saved = _save(training, state, epoch, intent.lifecycle)
    if not saved and intent in (Intent.PAUSE, Intent.STOP):
        training.job.control.refuse("refused: no checkpoint could be written")
        training.job.warn(
            f"{intent.name.lower()}-refused",
            f"{intent.name.lower()} refused, since no checkpoint could be written; free some space and ask again",
        )
        return
    raise EndRequested(intent, is_saved=saved)


def _save(training: Training, state: TrainState, epoch: int, reason: str, knn_top1: float | None = None) -> bool:
    """Write a checkpoint, or let it be written behind, with everything before it committed; whether that could be done.

    Raises:
        NonFiniteError: the weights are spoilt and must not be saved.
    """
    try:
        _write(training, state, epoch, reason, knn_top1)
    except (OSError, StoreError) as error:
        training.job.reporter.note(training.keeper.failed(state.step, error))
        return False
    return True


def _write(training: Training, state: TrainState, epoch: int, reason: str, knn_top1: float | None) -> None:
    # A run goes on from its checkpoint: steps before it that no row tells of would be lost for good.
    _commit_steps(training, state)
    with training.timer.host(CHECKPOINT), state.clock.aside(), training.job.control.phase("saving"):
        training.saver.finish()
        training.timer.settle(time.perf_counter())
        training.saver.save(state.payload(), step=state.step, epoch=epoch, reason=reason, knn_top1=knn_top1)


def _show_progress(training: Training, state: TrainState, epoch: int) -> None:
    row = training.recorder.last
    left = training.total_steps - state.step
    seconds = left * state.clock.trained_seconds / max(1, state.step)
    detail = f"epoch {epoch}/{training.config.epochs}"
    if row is not None and row.loss is not None:
        detail += f" · loss {row.loss:.3f}"
    if state.closed_epochs:
        detail += f" · {duration(seconds)} left"
    training.job.reporter.progress("pretraining, step", state.step, training.total_steps, detail)
