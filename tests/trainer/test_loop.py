"""One step of training, against the formula and with the mistake that batch norm would notice."""

import math

import pytest
import torch

from trainer.clock import RunClock
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.loop import TrainState, train_step
from trainer.model import build_model
from trainer.optim import build_optimizer

N = 6


@pytest.fixture
def config() -> PretrainConfig:
    """A small model without decay, so that an update is easy to say."""
    return PretrainConfig(
        backbone="resnet-narrow",
        image_size=16,
        head_width=16,
        projection_size=8,
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        temperature=0.5,
        threads=1,
    )


def make_state(config: PretrainConfig) -> TrainState:
    """A model that has not been trained."""
    model = build_model(config)
    return TrainState(model, build_optimizer(model, config), RunClock(), data="")


def slow_loss(z: torch.Tensor, temperature: float) -> float:
    """Algorithm 1 of the SimCLR paper, in float64 and one pair at a time."""
    unit = [row / row.norm() for row in z.double()]
    total = 0.0
    for i in range(2 * N):
        partner = (i + N) % (2 * N)
        others = [float(unit[i] @ unit[k]) / temperature for k in range(2 * N) if k != i]
        total += -float(unit[i] @ unit[partner]) / temperature + math.log(sum(map(math.exp, others)))
    return total / (2 * N)


def test_a_step_reports_the_papers_loss_and_moves_against_its_gradient(config: PretrainConfig) -> None:
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    machine = prepare(device="cpu", threads=1)
    reference = make_state(config)
    reference.model.train()
    z = reference.model(views)
    state = make_state(config)
    before = {name: value.clone() for name, value in state.model.named_parameters()}
    figures = train_step(state, views, 0.1, config, machine)
    assert float(figures[0]) == pytest.approx(slow_loss(z.detach(), 0.5), abs=1e-5)
    squares = 0.0
    for name, value in state.model.named_parameters():
        assert value.grad is not None
        assert torch.allclose(value, before[name] - 0.1 * value.grad, atol=1e-7), name
        squares += float(value.grad.double().square().sum())
    assert float(figures[4]) == pytest.approx(math.sqrt(squares), rel=1e-5)


def test_views_that_went_through_the_network_apart_would_give_another_loss(config: PretrainConfig) -> None:
    """The negative control: batch norm sees each view's own statistics, and the network can tell them apart."""
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    views[N:] += 1.0
    machine = prepare(device="cpu", threads=1)
    apart = make_state(config)
    apart.model.train()
    z = torch.cat([apart.model(views[:N]), apart.model(views[N:])])
    together = float(train_step(make_state(config), views, 0.1, config, machine)[0])
    assert abs(slow_loss(z.detach(), 0.5) - together) > 0.05


def test_a_state_goes_through_its_payload_bit_for_bit(config: PretrainConfig) -> None:
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    machine = prepare(device="cpu", threads=1)
    first, second = make_state(config), make_state(config)
    for _ in range(3):
        train_step(first, views, 0.1, config, machine)
        first.step += 1
    second.restore(first.payload())
    assert second.step == 3
    a, b = (train_step(state, views, 0.1, config, machine) for state in (first, second))
    assert torch.equal(a, b)
    for left, right in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert torch.equal(left, right)
