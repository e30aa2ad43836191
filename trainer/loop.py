"""The main loop (Chen et al. 2020, Algorithm 1): next batch → step → log → checkpoint → poll.

It begins wherever the state says, in the middle of an epoch too, and leaves it only between two steps.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from trainer.config import PretrainConfig
from trainer.control import EndRequested, Intent
from trainer.device import Machine, PageReturner
from trainer.errors import NonFiniteError, StoreError
from trainer.guard import first_spoilt
from trainer.health_watch import HealthWatch
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.loader import Batch, ViewLoader
from trainer.model import SimCLRModel
from trainer.recorder import Recorder, StepRecord
from trainer.report import duration
from trainer.schedule import learning_rate
from trainer.step import TrainState
from trainer.stepper import Stepper
from trainer.timing import DeviceClock

_INSIST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Training:
    """What training uses and does not change."""

    job: Job
    config: PretrainConfig
    machine: Machine
    loader: ViewLoader
    stepper: Stepper
    recorder: Recorder
    device_clock: DeviceClock
    keeper: CheckpointKeeper
    measure_epoch: Callable[[SimCLRModel, int], dict[str, Any]]
    """Scores the model at the end of an epoch: columns of `epochs`."""
    health: HealthWatch
    give_back_pages: Callable[[], None] = field(default_factory=PageReturner)
    """Called when an epoch has been scored."""

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
    while state.closed_epochs < training.config.epochs:
        epoch = state.closed_epochs + 1
        _train_epoch(training, state, epoch)
        _close_epoch(training, state, epoch)


def _train_epoch(training: Training, state: TrainState, epoch: int) -> None:
    """Take the steps of an epoch that are left.

    Where the run was asked to end while it waited for a batch, and that was refused, the batches are begun anew.
    """
    steps_per_epoch = training.loader.steps_per_epoch()
    while (done := state.step - state.closed_epochs * steps_per_epoch) < steps_per_epoch:
        _train_on(training, state, epoch, training.loader.epoch(epoch, first_batch=done))


def _train_on(training: Training, state: TrainState, epoch: int, batches: Iterator[Batch]) -> None:
    waited_from = time.perf_counter()
    while True:
        try:
            batch = next(batches, None)
        except EndRequested as end:
            _give_way(training, state, epoch, end.intent)
            return
        if batch is None:
            return
        _take_step(training, state, epoch, batch, t_data=time.perf_counter() - waited_from)
        _between_steps(training, state, epoch)
        waited_from = time.perf_counter()


def _take_step(training: Training, state: TrainState, epoch: int, batch: Batch, *, t_data: float) -> None:
    span = training.device_clock.begin()
    lr = learning_rate(state.step + 1, training.loader.steps_per_epoch(), training.config)
    metrics = training.stepper.take(batch, lr)
    training.device_clock.end(span)
    state.step += 1
    training.job.control.beat(state.step)
    training.recorder.add(StepRecord(state.step, epoch, metrics, lr, t_data, span))


def _between_steps(training: Training, state: TrainState, epoch: int) -> None:
    if training.recorder.due or state.guard.has_tripped:
        training.recorder.flush(trained_seconds=state.clock.trained_seconds)
        _show_progress(training, state, epoch)
        if training.health.is_due_again:
            training.health.judge(step=state.step, recent_loss=training.recorder.recent_loss)
    intent = training.job.control.intent()
    if intent is not None:
        _give_way(training, state, epoch, intent)
    if training.job.control.take_save():
        _save(training, state, epoch, "asked")
    elif training.keeper.due:
        _save(training, state, epoch, "interval")


def _close_epoch(training: Training, state: TrainState, epoch: int) -> None:
    """Score the epoch, write its row, and save where that is due."""
    figures = _measure(training, state, epoch)
    _insist(training, f"epoch {epoch}", lambda: _put_epoch(training, state, epoch, figures))
    state.closed_epochs = epoch
    training.health.judge(step=state.step)
    _show_progress(training, state, epoch)
    state.clock.next_epoch()
    knn_top1 = figures.get("knn_top1")
    if epoch == training.config.epochs:
        _insist(training, "the final checkpoint", lambda: _write(training, state, epoch, "final", knn_top1))
    elif training.keeper.is_milestone(epoch):
        _save(training, state, epoch, "milestone", knn_top1)
    elif training.keeper.is_better(knn_top1):
        _save(training, state, epoch, "best", knn_top1)
    elif training.keeper.due:
        _save(training, state, epoch, "interval", knn_top1)


def _measure(training: Training, state: TrainState, epoch: int) -> dict[str, Any]:
    while True:
        training.recorder.flush(trained_seconds=state.clock.trained_seconds)
        try:
            with state.clock.aside(), training.job.control.phase("evaluating"):
                figures = training.measure_epoch(state.scored_model, epoch)
                if training.health.due(epoch):
                    training.health.measure(state.scored_model, step=state.step)
                training.give_back_pages()
                return figures
        except EndRequested as end:
            _give_way(training, state, epoch, end.intent)


def _put_epoch(training: Training, state: TrainState, epoch: int, figures: dict[str, Any]) -> None:
    """Write the epoch's row: means of its committed steps, so that an interruption in its middle loses none of them.

    Raises:
        StoreError: the steps or the row could not be committed.
    """
    _commit_steps(training, state)
    t_train = state.clock.train_seconds
    times = {
        "t_train": t_train,
        "t_epoch": state.clock.epoch_seconds,
        "images_per_second": training.loader.images_per_epoch() / t_train,
    }
    job = training.job
    job.store.put_epoch(job.run.id, epoch, job.store.epoch_means(job.run.id, epoch) | times | figures)


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
    while True:
        try:
            write()
        except (OSError, StoreError) as error:
            training.job.reporter.note(f"{what} not written ({error}); training waits, free some space")
            with training.job.control.phase("waiting"):
                training.job.control.wait(_INSIST_SECONDS)
        else:
            return


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
    """Write a checkpoint, with everything before it committed; whether there is one now.

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
    with state.clock.aside(), training.job.control.phase("saving"):
        payload = state.payload()
        spoilt = first_spoilt(payload)
        if spoilt is not None:
            message = (
                f"{spoilt} is not finite after step {state.step}, though its loss and gradient were; the last "
                "checkpoint stands; lower --learning-rate, then launch a new run"
            )
            training.job.event("non-finite", message, level="error", step=state.step)
            raise NonFiniteError(message)
        training.keeper.save(payload, step=state.step, epoch=epoch, reason=reason, knn_top1=knn_top1)


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
