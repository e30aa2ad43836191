"""Learning rates against the schedules of SupContrast, google-research/simclr and torch, written from their code."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from trainer.config import PretrainConfig
from trainer.optim import build_optimizer
from trainer.presets import load_preset
from trainer.schedule import highest_rate, learning_rate

SUPCONTRAST = {"cifar10-supcontrast": 0.5, "cifar10-supcon": 0.5, "cifar10-ce": 0.8}
"""Presets and the --learning_rate of their command."""
BATCHES = 49
"""Of an epoch: 50,000 images, 1,024 a step, the short last one kept."""


def config(**settings: Any) -> PretrainConfig:
    return PretrainConfig(**settings)


def supcontrasts_rate(
    epoch: int, batch: int, *, rate: float, epochs: int, decay_epochs: tuple[int, ...] = (), warm_epochs: int = 10
) -> float:
    """util.py, adjust_learning_rate and warmup_learning_rate: epochs from 1, batches from 0, a cosine or drops."""
    eta_min = rate * 0.1**3

    def cosine(at: int) -> float:
        return eta_min + (rate - eta_min) * (1 + math.cos(math.pi * at / epochs)) / 2

    adjusted = rate * 0.1 ** sum(epoch > e for e in decay_epochs) if decay_epochs else cosine(epoch)
    if epoch > warm_epochs:
        return adjusted
    warmup_to = rate if decay_epochs else cosine(warm_epochs)
    return 0.01 + (batch + (epoch - 1) * BATCHES) / (warm_epochs * BATCHES) * (warmup_to - 0.01)


def googles_rate(global_step: int, *, rate: float, warmup_steps: int, total_steps: int) -> float:
    """model_util.py, learning_rate_schedule: steps from 0."""
    if global_step < warmup_steps:
        return global_step / warmup_steps * rate
    progress = min(global_step - warmup_steps, total_steps - warmup_steps) / (total_steps - warmup_steps)
    return rate * 0.5 * (1 + math.cos(math.pi * progress))


@pytest.mark.parametrize(("preset", "rate"), SUPCONTRAST.items())
def test_the_warm_up_is_supcontrasts_one_step_later(preset: str, rate: float) -> None:
    """Theirs begins at 0.01 and never reaches the end; ours leaves the start out and reaches it."""
    settings = load_preset(preset).config()
    for step in range(1, 10 * BATCHES):
        epoch, batch = step // BATCHES + 1, step % BATCHES
        theirs = supcontrasts_rate(epoch, batch, rate=rate, epochs=settings.epochs)
        assert learning_rate(step, BATCHES, settings) == pytest.approx(theirs, rel=1e-12)
    end = learning_rate(10 * BATCHES, BATCHES, settings)
    assert end == pytest.approx(learning_rate(10 * BATCHES + 1, BATCHES, settings), rel=1e-12)
    assert settings.warmup_start * rate == pytest.approx(0.01)


@pytest.mark.parametrize(("preset", "rate"), SUPCONTRAST.items())
def test_the_cosine_glides_from_one_of_supcontrasts_epochs_to_the_next(preset: str, rate: float) -> None:
    """Theirs is constant within an epoch, at the value that ours has just after it."""
    settings = load_preset(preset).config()
    for epoch in range(11, settings.epochs + 1):
        theirs = supcontrasts_rate(epoch, 0, rate=rate, epochs=settings.epochs)
        assert learning_rate(epoch * BATCHES + 1, BATCHES, settings) == pytest.approx(theirs, rel=1e-12)
        if epoch > 11:
            before = supcontrasts_rate(epoch - 1, 0, rate=rate, epochs=settings.epochs)
            assert theirs < learning_rate((epoch - 1) * BATCHES + 7, BATCHES, settings) < before
    assert supcontrasts_rate(settings.epochs, 0, rate=rate, epochs=settings.epochs) == pytest.approx(rate / 1000)


def test_milestones_are_supcontrasts_steps() -> None:
    settings = config(
        learning_rate=0.05, epochs=1000, milestones="700,800,900", warmup_epochs=10.0, warmup_start=0.2, schedule="step"
    )
    for epoch in range(11, 1001):
        theirs = supcontrasts_rate(epoch, 0, rate=0.05, epochs=1000, decay_epochs=(700, 800, 900))
        for step in ((epoch - 1) * BATCHES + 1, epoch * BATCHES):
            assert learning_rate(step, BATCHES, settings) == pytest.approx(theirs, rel=1e-12)
    assert learning_rate(10 * BATCHES, BATCHES, settings) == pytest.approx(0.05)


@pytest.mark.parametrize("schedule", ["epoch", "step"])
def test_the_supervised_baseline_has_torchs_multistep_rate(schedule: str) -> None:
    settings = load_preset("stl10-ce").config(schedule=schedule)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-3)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[int(100 * 0.7), int(100 * 0.9)], gamma=0.1)
    for epoch in range(100):
        theirs = scheduler.get_last_lr()[0]
        for step in (epoch * 78 + 1, (epoch + 1) * 78):
            assert learning_rate(step, 78, settings) == pytest.approx(theirs, rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_the_papers_schedule_is_googles_but_for_the_first_step() -> None:
    """Google's warm-up begins at 0 and so wastes a step; its cosine is ours to the step."""
    settings = load_preset("stl10-paper").config()
    per_epoch = 390
    warmup, total, rate = 10 * per_epoch, settings.epochs * per_epoch, 0.075 * math.sqrt(256)
    for done in [*range(0, warmup, 97), warmup - 1]:
        theirs = googles_rate(done + 1, rate=rate, warmup_steps=warmup, total_steps=total)
        assert learning_rate(done + 1, per_epoch, settings) == pytest.approx(theirs, rel=1e-12)
    for done in [*range(warmup, total, 997), total - 1]:
        theirs = googles_rate(done, rate=rate, warmup_steps=warmup, total_steps=total)
        assert learning_rate(done + 1, per_epoch, settings) == pytest.approx(theirs, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("scaling", "batch", "factor"),
    [("none", 4096, 1.0), ("linear", 256, 1.0), ("linear", 64, 0.25), ("sqrt", 256, 16.0), ("sqrt", 64, 8.0)],
)
def test_the_rate_is_scaled_by_the_batch(scaling: str, batch: int, factor: float) -> None:
    settings = config(learning_rate=0.3, learning_rate_scaling=scaling, batch_size=batch)
    assert highest_rate(settings) == pytest.approx(0.3 * factor)
    assert learning_rate(1, 10, settings) == highest_rate(settings)
    (group,) = build_optimizer(nn.Linear(3, 2), settings).param_groups
    assert group["lr"] == highest_rate(settings)


def test_the_papers_two_scalings_meet_at_a_batch_of_4096() -> None:
    root = config(learning_rate=0.075, learning_rate_scaling="sqrt", batch_size=4096)
    linear = config(learning_rate=0.3, learning_rate_scaling="linear", batch_size=4096)
    assert highest_rate(root) == highest_rate(linear) == pytest.approx(4.8)
    small = {"batch_size": 256, "learning_rate_floor": 0.0}
    assert highest_rate(config(learning_rate=0.075, learning_rate_scaling="sqrt", **small)) == pytest.approx(1.2)
    assert highest_rate(config(learning_rate=0.3, learning_rate_scaling="linear", **small)) == pytest.approx(0.3)


@pytest.mark.parametrize("start", [0.0, 0.25, 1.0])
def test_the_warm_up_begins_where_it_is_told(start: float) -> None:
    settings = config(epochs=10, schedule="step", warmup_epochs=2, warmup_start=start, learning_rate=0.4)
    rates = [learning_rate(step, 5, settings) for step in range(1, 12)]
    assert rates[:10] == pytest.approx([0.4 * (start + (1 - start) * k / 10) for k in range(1, 11)])
    assert rates[10] == 0.4


@pytest.mark.parametrize("schedule", ["step", "epoch"])
@pytest.mark.parametrize("cosine_from", ["warmup", "start"])
def test_a_warm_up_over_the_whole_run_climbs_all_the_way(schedule: str, cosine_from: str) -> None:
    settings = config(epochs=4, warmup_epochs=4, schedule=schedule, cosine_from=cosine_from, learning_rate=0.4)
    rates = [learning_rate(step, 5, settings) for step in range(1, 21)]
    assert rates == sorted(rates)
    # A cosine that began at the first step has come to its floor by the end.
    assert rates[-1] == pytest.approx(0.4 if cosine_from == "warmup" else 0.4 * 0.02)


def test_milestones_leave_the_floor_and_the_cosine_out() -> None:
    settings = config(epochs=4, milestones=" 1, 3 ", milestone_factor=0.5, learning_rate=0.8, learning_rate_floor=1.0)
    rates = [learning_rate(epoch * 3 + 1, 3, settings) for epoch in range(4)]
    assert rates == pytest.approx([0.8, 0.4, 0.4, 0.2])
