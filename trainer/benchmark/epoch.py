"""Steps of an epoch as training takes them, and what a whole epoch would take at their pace.

The batches, the step and the state are the real ones; nothing is logged, saved or scored in between. An epoch begins
with an idle device and ends with one, so that the host's clock holds for the whole of it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, NamedTuple

from trainer.benchmark.arm import Arm
from trainer.job import Job
from trainer.loader import Batch
from trainer.timing import DeviceClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Seconds of the steps that were taken."""

    start: float
    """From the beginning of the epoch, workers and all, to its first batch."""
    waits: Sequence[float]
    """Of the host, for the batch of each step; the first one is the start again."""
    gaps: Sequence[float]
    """In which the device had nothing to do before each step but the first."""
    begins: Sequence[float]
    """Of each step on the device, from any moment on."""
    ends: Sequence[float]
    wall: float
    """From the beginning of the epoch to the end of the last step."""
    drain: float
    """From there to the end of its workers, where they end with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochFigures:
    """What an epoch takes, in seconds."""

    t_batch: float
    """Median of the steps, on the device."""
    t_data: float
    """Mean of what a step of the whole epoch waits for its batch, on the host: workers give batches in bursts, so that
    most steps may wait for nothing where the loader is what everything waits for."""
    t_epoch: float
    idle: float
    """Part of the epoch in which the device waited, 0 to 1."""
    steps: int
    """That were taken of it."""


def whole_epoch(steps: Steps, *, total: int, stock: int, workers: int = 0) -> EpochFigures:
    """What a whole epoch takes, from some of its steps: they as they were, and the rest at their pace. Pure.

    The start and the end of an epoch are counted once. The pace is that of the later steps: workers begin with as many
    batches as they load ahead, and those come faster than the workers can go on. It is taken over as many batches of
    one worker as of another, since they come in bursts.

    Args:
        steps: the first of the epoch.
        total: steps of a whole epoch.
        stock: batches that are loaded ahead.
        workers: that take turns.
    """
    count = len(steps.ends)
    first = max(1, min(stock, count // 2))
    if workers and count - first >= workers:
        first += (count - first) % workers
    pace = (steps.ends[-1] - steps.ends[first - 1]) / (count - first) if count > 1 else steps.wall
    gap = fmean(steps.gaps[first - 1 :]) if count > 1 else steps.start
    wait = fmean(steps.waits[first:]) if count > 1 else steps.start
    missing = total - count
    t_epoch = steps.wall + missing * pace + steps.drain
    idle = steps.start + sum(steps.gaps) + missing * gap + steps.drain
    return EpochFigures(
        t_batch=median(end - begin for begin, end in zip(steps.begins, steps.ends, strict=True)),
        t_data=(sum(steps.waits) + missing * wait) / total,
        t_epoch=t_epoch,
        idle=min(1.0, idle / t_epoch),
        steps=count,
    )


def take_epoch(
    arm: Arm, job: Job, clock: DeviceClock, epoch: int, *, at_last_step: Callable[[], None] | None = None
) -> EpochFigures:
    """Take the steps of an epoch that the arm's loader gives.

    Args:
        arm: what takes them.
        job: the job, which is looked at between two steps.
        clock: of the device.
        epoch: counted from 1.
        at_last_step: called, untimed, while the workers of the epoch are still there.

    Raises:
        EndRequested: the run was asked to end.
        TrainerError: workers were lost again and again.
    """
    arm.machine.synchronize()
    begun = time.perf_counter()
    batches = arm.loader.epoch(epoch)
    taken = _take(arm, job, clock, batches, begun)
    arm.machine.synchronize()
    wall = time.perf_counter() - begun
    if at_last_step is not None:
        at_last_step()
    for _ in range(arm.loader.steps_per_epoch() - arm.loader.steps):
        next(batches)
        job.control.check()
    drained_from = time.perf_counter()
    for _ in batches:  # the generator's own end, with which workers that don't last end too
        raise AssertionError
    steps = _read(taken, clock, wall=wall, drain=time.perf_counter() - drained_from)
    loader = arm.loader
    workers = loader.stock // arm.config.prefetch_factor
    return whole_epoch(steps, total=loader.all_steps, stock=loader.stock, workers=workers)


class _Taken(NamedTuple):
    """Marks of steps that the device may not have come to yet."""

    waits: list[float]
    begins: list[Any]
    ends: list[Any]
    on_cuda: bool


def _take(arm: Arm, job: Job, clock: DeviceClock, batches: Iterator[Batch], begun: float) -> _Taken:
    """Take the steps that are measured."""
    taken = _Taken([], [], [], arm.machine.is_cuda)
    waited_from = begun
    for _ in range(arm.loader.steps):
        batch = next(batches)
        taken.waits.append(time.perf_counter() - waited_from)
        taken.begins.append(clock.mark())
        arm.take(batch)
        taken.ends.append(clock.mark())
        job.control.check()
        waited_from = time.perf_counter()
    return taken


def _read(taken: _Taken, clock: DeviceClock, *, wall: float, drain: float) -> Steps:
    """The seconds between marks that the device has passed."""
    waits, begins, ends, on_cuda = taken
    gaps = [clock.between(end, begin) for end, begin in zip(ends, begins[1:], strict=False)]
    steps = Steps(
        start=waits[0],
        waits=waits,
        gaps=gaps if on_cuda else waits[1:],
        begins=[clock.between(begins[0], mark) for mark in begins],
        ends=[clock.between(begins[0], mark) for mark in ends],
        wall=wall,
        drain=drain,
    )
    clock.release([*begins, *ends])
    return steps
