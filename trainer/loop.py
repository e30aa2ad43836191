"""The main loop (Chen et al. 2020, Algorithm 1): next batch → step → log → checkpoint → poll.

It begins wherever the state says, in the middle of an epoch too, and leaves it only between two steps.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from trainer import randomness
from trainer.clock import RunClock
from trainer.config import TIMM, PretrainConfig
from trainer.control import EndRequested, Intent
from trainer.device import Machine
from trainer.errors import StoreError
from trainer.health_watch import HealthWatch
from trainer.job import Job
from trainer.keeper import CheckpointKeeper
from trainer.loader import ViewLoader
from trainer.model import SimCLRModel
from trainer.objective import objective
from trainer.optim import clip_gradients, grad_norm, learning_rate, set_learning_rate
from trainer.recorder import Recorder, StepRecord
from trainer.report import duration
from trainer.timing import DeviceClock

_INSIST_SECONDS = 5.0


@dataclass(slots=True)
class TrainState:
    """Everything that training changes; a checkpoint holds it and nothing else."""

    model: SimCLRModel
    optimizer: torch.optim.Optimizer
    clock: RunClock
    data: str
    """Fingerprint of the images that are trained on."""
    ema: AveragedModel | None = None
    """Moving average of the weights, where one is kept."""
    step: int = 0
    """Steps taken."""
    closed_epochs: int = 0
    """Epochs whose end, with its evaluation and its row, is done."""

    @property
    def scored_model(self) -> SimCLRModel:
        """The model whose scores are taken: the averaged one where there is one."""
        return self.model if self.ema is None else cast("SimCLRModel", self.ema.module)

    def payload(self) -> dict[str, Any]:
        """What a checkpoint stores: tensors, numbers and strings."""
        averaged = {} if self.ema is None else {"ema": self.ema.module.state_dict()}
        return averaged | {
            "classes": self.model.classes,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "closed_epochs": self.closed_epochs,
            "clock": self.clock.to_state(),
            "data": self.data,
        }

    def restore(self, payload: dict[str, Any]) -> None:
        """Become what a checkpoint stored."""
        self.model.load_state_dict(payload["model"])
        if self.ema is not None:
            self.ema.module.load_state_dict(payload["ema"])
        self.optimizer.load_state_dict(payload["optimizer"])
        self.step = payload["step"]
        self.closed_epochs = payload["closed_epochs"]
        self.clock = RunClock(**payload["clock"])


@dataclass(frozen=True, slots=True)
class Training:
    """What training uses and does not change."""

    job: Job
    config: PretrainConfig
    machine: Machine
    loader: ViewLoader
    recorder: Recorder
    device_clock: DeviceClock
    keeper: CheckpointKeeper
    measure_epoch: Callable[[SimCLRModel, int], dict[str, Any]]
    """Scores the model at the end of an epoch: columns of `epochs`."""
    health: HealthWatch

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


def train_step(
    state: TrainState, views: Tensor, lr: float, config: PretrainConfig, machine: Machine, labels: Tensor | None = None
) -> Tensor:
    """One update; float32 (5,) on the device: loss, acc_top1, acc_top5, acc_mean_pos, gradient norm.

    All views go through the network in one batch, or batch norm could tell them apart. The norm is the one before
    clipping.

    Args:
        state: what is updated.
        views: (V·N, 3, S, S), on the device, view 1 of all images first.
        lr: learning rate of this step.
        config: the settings.
        machine: the device.
        labels: (N,), where the method is supervised.
    """
    state.model.train()
    set_learning_rate(state.optimizer, lr)
    if config.backbone.startswith(TIMM):  # it may have dropout, which must be a function of the step too
        torch.manual_seed(randomness.key(config.seed, "step", state.step + 1))
    with machine.autocast():
        z = state.model(views)
    loss, metrics = objective(z, config, labels)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = grad_norm(state.model.parameters())
    if config.clip_grad_norm:
        clip_gradients(state.model.parameters(), config.clip_grad_norm, norm)
    state.optimizer.step()
    if state.ema is not None:
        state.ema.update_parameters(state.model)
    figures = (loss.detach(), metrics.acc_top1, metrics.acc_top5, metrics.acc_mean_pos, norm)
    return torch.stack([figure.float() for figure in figures])


def _train_epoch(training: Training, state: TrainState, epoch: int) -> None:
    steps_per_epoch = training.loader.steps_per_epoch()
    done = state.step - state.closed_epochs * steps_per_epoch
    waited_from = time.perf_counter()
    for batch in training.loader.epoch(epoch, first_batch=done):
        t_data = time.perf_counter() - waited_from
        span = training.device_clock.begin()
        lr = learning_rate(state.step + 1, steps_per_epoch, training.config)
        views = training.loader.views(batch)
        metrics = train_step(state, views, lr, training.config, training.machine, batch.labels)
        training.device_clock.end(span)
        state.step += 1
        training.job.control.beat(state.step)
        training.recorder.add(StepRecord(state.step, epoch, metrics, lr, t_data, span))
        _between_steps(training, state, epoch)
        waited_from = time.perf_counter()


def _between_steps(training: Training, state: TrainState, epoch: int) -> None:
    if training.recorder.due:
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
    raise EndRequested(intent)


def _save(training: Training, state: TrainState, epoch: int, reason: str, knn_top1: float | None = None) -> bool:
    """Write a checkpoint, with everything before it committed; whether there is one now.

    Raises:
        NonFiniteError: the weights are spoilt and must not be saved.
    """
    try:
        _write(training, state, epoch, reason, knn_top1)
    except (OSError, StoreError) as error:
        training.keeper.put_off()
        message = f"checkpoint of step {state.step} not written ({error}); training goes on, free some space"
        training.job.event("checkpoint-failed", message, level="error", step=state.step)
        return False
    return True


def _write(training: Training, state: TrainState, epoch: int, reason: str, knn_top1: float | None) -> None:
    # A run goes on from its checkpoint: steps before it that no row tells of would be lost for good.
    _commit_steps(training, state)
    with state.clock.aside(), training.job.control.phase("saving"):
        training.keeper.save(state.payload(), step=state.step, epoch=epoch, reason=reason, knn_top1=knn_top1)


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
