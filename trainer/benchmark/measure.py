"""One trial in one round: both epochs, and what the machine did meanwhile."""

import time
from itertools import islice
from typing import Any

import torch

from trainer.benchmark.arm import UNCOUNTED_EPOCH, Arm
from trainer.benchmark.epoch import EpochFigures, take_epoch
from trainer.benchmark.memory_use import host_bytes
from trainer.benchmark.watch import Watch
from trainer.device import Machine
from trainer.gpu import Sampler
from trainer.job import Job
from trainer.loader import ViewLoader
from trainer.stepper import EAGER
from trainer.timing import DeviceClock

_WARMUP_STEPS_CUDA, _WARMUP_STEPS_CPU = 8, 2
"""Steps before the first one that counts: libraries choose their kernels, a step is captured or compiled."""


def warm_up(arm: Arm, job: Job) -> dict[str, Any]:
    """Take some steps that are not counted; the columns of round 0.

    Raises:
        EndRequested: the run was asked to end.
    """
    begun = time.perf_counter()
    count = _WARMUP_STEPS_CUDA if arm.machine.is_cuda else _WARMUP_STEPS_CPU
    for batch in islice(arm.loader.epoch(UNCOUNTED_EPOCH), min(count, arm.loader.all_steps)):
        arm.take(batch)
        job.control.check()
    arm.machine.synchronize()
    return {"warmup_seconds": arm.stepper.warm_up_seconds + time.perf_counter() - begun}


def settle(arm: Arm, job: Job, *, is_made_anew: bool) -> None:
    """Take a step that is not counted, so that the memory of a trial before this one is not what is measured.

    Its batch comes from this process, since a worker that is started for it would be one that epoch 1 need not start.

    Args:
        arm: what is about to be measured.
        job: the job.
        is_made_anew: whether its step has yet to be captured or compiled.
    """
    split, config, machine = arm.split, arm.config, arm.machine
    loader: ViewLoader = arm.loader
    if config.cache != "vram":
        labels = split.labels if config.is_supervised else None
        loader = ViewLoader(split.images, config, machine, workers=0, labels=labels)
    count = _WARMUP_STEPS_CUDA if is_made_anew and arm.stepper.mode != EAGER else 1
    for batch in islice(loader.epoch(UNCOUNTED_EPOCH), min(count, arm.loader.all_steps)):
        arm.take(batch)
        job.control.check()
    machine.synchronize()


def measure(
    arm: Arm, job: Job, clock: DeviceClock, sampler: Sampler, turn: int, *, host_beside: int, device_beside: int
) -> dict[str, Any]:
    """Take the two epochs of a round; columns of `benchmark_trials`.

    Args:
        arm: the trial.
        job: the job.
        clock: of the device.
        sampler: of the device.
        turn: number of the turn, counted from 1; each has its own two epochs, so that none finds the images read by the
            turn before it.
        host_beside: memory of the trainer that is there for other trials.
        device_beside: the same on the device.

    Raises:
        EndRequested: the run was asked to end.
        TrainerError: workers were lost again and again.
    """
    reset_peak(arm.machine)
    host: list[int] = []
    try:
        with Watch(sampler) as watch:
            first = take_epoch(arm, job, clock, 2 * turn - 1)
            following = take_epoch(
                arm, job, clock, 2 * turn, at_last_step=lambda: host.append(host_bytes() - host_beside)
            )
    finally:
        arm.rest()
    job.control.pace(following.t_batch + following.t_data)
    return {
        **_times(first, following),
        "images_per_second": arm.images_per_epoch / following.t_epoch,
        "gpu_util": watch.utilisation,
        "idle": following.idle,
        "host_memory_bytes": host[0],
        "device_memory_bytes": device_peak(arm, device_beside),
        "steps": following.steps,
        "dropped": watch.slowed,
    }


def reset_peak(machine: Machine) -> None:
    """Forget the most that torch gave out on the device until now."""
    if machine.is_cuda:
        torch.cuda.reset_peak_memory_stats(machine.device)


def device_peak(arm: Arm, beside: int) -> int | None:
    """The most that torch gave out on the device since the peak was reset, without what is there for other trials.

    None on a CPU. What a captured step needs is given out when it is captured, and not when it is replayed.
    """
    if not arm.machine.is_cuda:
        return None
    peak = torch.cuda.max_memory_allocated(arm.machine.device) - beside
    if arm.stepper.mode != EAGER:
        peak = arm.peak_bytes = max(peak, arm.peak_bytes)
    return peak


def _times(first: EpochFigures, following: EpochFigures) -> dict[str, float]:
    names = ("t_batch", "t_data", "t_epoch")
    return {name: getattr(first, name) for name in names} | {f"{name}_next": getattr(following, name) for name in names}
