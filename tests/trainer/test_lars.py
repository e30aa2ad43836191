"""LARS against google-research/simclr's lars_optimizer.py, written out in float64."""

import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from trainer.lars import LARS

SHAPES = {"conv": (4, 3, 3, 3), "linear": (5, 7), "norm": (6,), "bias": (5,)}
EXCLUDED = ("norm", "bias")
MOMENTUM, DECAY, TRUST = 0.9, 0.01, 1e-3


def weights(dtype: torch.dtype = torch.float64) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return {n: nn.Parameter(torch.randn(s, generator=generator, dtype=dtype)) for n, s in SHAPES.items()}


def gradient(name: str, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step * 100 + len(name))
    return torch.randn(SHAPES[name], generator=generator, dtype=torch.float64)


def optimiser(parameters: dict[str, nn.Parameter], lr: float = 0.3, **options: Any) -> LARS:
    groups: list[dict[str, Any]] = [
        {"params": [p for n, p in parameters.items() if n not in EXCLUDED]},
        {"params": [p for n, p in parameters.items() if n in EXCLUDED], "weight_decay": 0.0, "adapt": False},
    ]
    settings = {"momentum": MOMENTUM, "weight_decay": DECAY, "trust_coefficient": TRUST} | options
    return LARS(groups, lr, **settings)


class Google:
    """apply_gradients with classic momentum, no Nesterov, for one weight, as plain numbers."""

    def __init__(self, values: list[float], *, excluded: bool) -> None:
        self.w, self.v, self.excluded = values, [0.0] * len(values), excluded

    def step(self, grad: list[float], learning_rate: float) -> None:
        if not self.excluded:
            grad = [g + DECAY * w for g, w in zip(grad, self.w, strict=True)]
        trust_ratio = 1.0
        if not self.excluded:
            w_norm, g_norm = math.hypot(*self.w), math.hypot(*grad)
            trust_ratio = TRUST * w_norm / g_norm if w_norm > 0 and g_norm > 0 else 1.0
        scaled_lr = learning_rate * trust_ratio
        self.v = [MOMENTUM * v + scaled_lr * g for v, g in zip(self.v, grad, strict=True)]
        self.w = [w - v for w, v in zip(self.w, self.v, strict=True)]


def test_several_steps_are_googles() -> None:
    ours = weights()
    update = optimiser(ours)
    theirs = {n: Google(p.detach().flatten().tolist(), excluded=n in EXCLUDED) for n, p in ours.items()}
    for step, rate in enumerate((0.3, 1.0, 0.7, 0.05, 0.5)):  # the rate's place in the momentum shows when it changes
        for name, parameter in ours.items():
            parameter.grad = gradient(name, step)
            theirs[name].step(gradient(name, step).flatten().tolist(), rate)
        for group in update.param_groups:
            group["lr"] = rate
        update.step()
        for name, parameter in ours.items():
            assert parameter.flatten().tolist() == pytest.approx(theirs[name].w, rel=1e-12, abs=1e-13), (step, name)


@pytest.mark.parametrize("zero", ["weight", "gradient", "both"])
def test_a_weight_or_gradient_of_zero_takes_the_plain_rate(zero: str) -> None:
    ours = weights()
    with torch.no_grad():
        ours["linear"].mul_(0 if zero != "gradient" else 1)
    theirs = Google(ours["linear"].detach().flatten().tolist(), excluded=False)
    update = optimiser(ours, weight_decay=DECAY)
    for step in range(3):
        for name, parameter in ours.items():
            parameter.grad = gradient(name, step) * (0 if zero != "weight" else 1)
        assert ours["linear"].grad is not None
        theirs.step(ours["linear"].grad.flatten().tolist(), 0.3)
        update.step()
        assert torch.isfinite(ours["linear"]).all()
        assert ours["linear"].flatten().tolist() == pytest.approx(theirs.w, rel=1e-12, abs=1e-13)


def test_the_step_is_the_weights_norm_times_rate_and_trust_whatever_the_gradient() -> None:
    for scale in (1e-6, 1.0, 1e6):
        ours = weights()
        before = ours["conv"].detach().clone()
        update = optimiser(ours, lr=2.0, momentum=0.0, weight_decay=0.0)
        ours["conv"].grad = scale * gradient("conv", 0)
        update.step()
        moved = (ours["conv"] - before).norm().item()
        assert moved == pytest.approx(2.0 * TRUST * before.norm().item(), rel=1e-9)


def test_a_group_without_adaptation_is_torchs_sgd() -> None:
    ours, theirs = weights(), weights()
    update = LARS(
        [{"params": list(ours.values()), "adapt": False}], 0.1, momentum=0.8, weight_decay=0.02, trust_coefficient=TRUST
    )
    reference = torch.optim.SGD(theirs.values(), lr=0.1, momentum=0.8, weight_decay=0.02)
    for step in range(5):
        for name in SHAPES:
            ours[name].grad, theirs[name].grad = gradient(name, step), gradient(name, step)
        update.step()
        reference.step()
    for name in SHAPES:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-12, atol=1e-13)


def test_its_state_loads_with_weights_only_and_goes_on_bit_for_bit() -> None:
    def take(update: LARS, parameters: dict[str, nn.Parameter], steps: range) -> None:
        for step in steps:
            for name, parameter in parameters.items():
                parameter.grad = gradient(name, step).float()
            update.step()

    first = weights(torch.float32)
    update = optimiser(first)
    take(update, first, range(3))
    file = io.BytesIO()
    torch.save({"weights": {n: p.detach() for n, p in first.items()}, "optimizer": update.state_dict()}, file)
    take(update, first, range(3, 6))

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = {name: nn.Parameter(value) for name, value in saved["weights"].items()}
    resumed = optimiser(second, lr=9.0)
    resumed.load_state_dict(saved["optimizer"])
    take(resumed, second, range(3, 6))
    assert all(torch.equal(first[name], second[name]) for name in SHAPES)
    assert [g["adapt"] for g in resumed.param_groups] == [True, False]

    fresh = {name: nn.Parameter(value) for name, value in saved["weights"].items()}
    take(optimiser(fresh), fresh, range(3, 6))
    assert not torch.equal(first["conv"], fresh["conv"])  # the velocity is part of the state


def test_a_weight_without_a_gradient_stays_and_so_does_its_group() -> None:
    ours = weights()
    before = {name: parameter.detach().clone() for name, parameter in ours.items()}
    update = optimiser(ours)
    ours["linear"].grad = gradient("linear", 0)
    update.step()
    assert not torch.equal(ours["linear"], before["linear"])
    assert all(torch.equal(ours[name], before[name]) for name in ("conv", "norm", "bias"))


def test_a_step_looks_at_no_value() -> None:
    with FakeTensorMode():
        ours = {name: nn.Parameter(torch.empty(shape)) for name, shape in SHAPES.items()}
        update = optimiser(ours)
        for parameter in ours.values():
            parameter.grad = torch.empty_like(parameter)
        update.step()
