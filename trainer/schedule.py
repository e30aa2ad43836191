"""The learning rate as a pure function of the step, without torch: a resumed run asks for the rate of its step.

There is no scheduler object and so no state of one. What tells a person beforehand what another setting would do to
the rate asks the same function that training does.
"""

import math

from trainer.config import PretrainConfig


def highest_rate(config: PretrainConfig) -> float:
    """The learning rate scaled by the batch size N: × N / 256, or × √N (google-research/simclr, model.py)."""
    factor = {"none": 1.0, "linear": config.batch_size / 256, "sqrt": math.sqrt(config.batch_size)}
    return config.learning_rate * factor[config.learning_rate_scaling]


def learning_rate(step: int, steps_per_epoch: int, config: PretrainConfig) -> float:
    """The learning rate of a step: a linear warm-up, then a cosine to its floor, or drops at milestones.

    The k-th of W warm-up steps is k/W of the way from its start. The cosine is that of torch's CosineAnnealingLR
    (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts): its first step has the highest rate and the
    floor would be reached one step after the last. It begins after the warm-up, or runs over all steps and the warm-up
    climbs to the point that it has reached by then (SupContrast, util.py). Milestones are those of torch's MultiStepLR.
    With `schedule="epoch"` epochs are counted instead of steps and all steps of an epoch share a rate.

    Args:
        step: counted from 1.
        steps_per_epoch: optimiser steps in an epoch.

    Raises:
        ValueError: the step or the steps per epoch are below 1.
    """
    if step < 1 or steps_per_epoch < 1:
        raise ValueError(f"step {step} of {steps_per_epoch} an epoch: both are counted from 1; give 1 or more")
    per_epoch = 1 if config.schedule == "epoch" else steps_per_epoch
    done = (step - 1) // steps_per_epoch if config.schedule == "epoch" else step - 1
    warmup = config.warmup_epochs * per_epoch
    highest = highest_rate(config)
    if done < warmup:
        begin, end = config.warmup_start, _decayed(warmup, warmup, per_epoch, config)
        return highest * (begin + (end - begin) * min(1.0, (done + 1) / warmup))
    return highest * _decayed(done, warmup, per_epoch, config)


def _decayed(done: float, warmup: float, per_epoch: int, config: PretrainConfig) -> float:
    """The part of the highest rate that is left after so many steps (or epochs), no warm-up counted."""
    if config.milestones:
        passed = sum(done >= epoch * per_epoch for epoch in config.milestone_epochs)
        return config.milestone_factor**passed
    begin = warmup if config.cosine_from == "warmup" else 0.0
    left = config.epochs * per_epoch - begin
    progress = min(1.0, (done - begin) / left) if left > 0 else float(done > begin)
    floor = config.learning_rate_floor
    return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2
