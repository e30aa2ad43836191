"""A step that is not finite changes nothing, and one that is finite is not changed by being watched."""

import dataclasses
import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.device import Machine, prepare
from trainer.guard import FiniteGuard, first_spoilt
from trainer.step import TrainState, new_state, train_step

N = 6
LABELS = torch.tensor([0, 1, 2, 0, 1, 3])
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": {"optimizer": "adamw", "learning_rate": 1e-3},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.9},
    "lars": {"optimizer": "lars", "learning_rate": 0.3, "decay_norm_and_bias": False},
}
INJECTIONS = ("loss", "gradient", "input")


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A CPU with one thread."""
    return prepare(device="cpu", threads=1)


def make_config(name: str, **changes: Any) -> PretrainConfig:
    """A small model with an average and with batch norm in the head."""
    common = {"backbone": "resnet-narrow", "image_size": 16, "head_width": 16, "projection_size": 8, "threads": 1}
    return PretrainConfig.from_values(common | {"ema_decay": 0.9, "head_batch_norm": True} | OPTIMIZERS[name] | changes)


def make_state(config: PretrainConfig, machine: Machine, *, on_device: bool) -> TrainState:
    """An untrained state that is guarded in one of the two ways."""
    state = new_state(config, machine, classes=4, data="")
    state.guard = FiniteGuard(state.model, state.optimizer, state.ema, on_device=on_device)
    return state


def views_of(step: int) -> Tensor:
    """The views of a step."""
    return torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(step))


def bits(state: TrainState) -> dict[str, Tensor]:
    """Copies of the weights, the statistics and their average."""
    assert state.ema is not None
    both = {"model": state.model.state_dict(), "ema": state.ema.module.state_dict()}
    return {f"{which}.{name}": v.detach().clone() for which, values in both.items() for name, v in values.items()}


def differing(left: dict[str, Tensor], right: dict[str, Tensor]) -> list[str]:
    """Names of what is not the same bit for bit; NaN differs from everything."""
    return [name for name in left if not torch.equal(left[name], right[name])]


def take(state: TrainState, config: PretrainConfig, machine: Machine, *, spoil: str = "", by: float = math.nan) -> None:
    """One step whose loss, gradient or input is spoilt."""
    views = views_of(state.step)
    handle = None
    if spoil == "input":
        views[3, 1, 2, 3] = by
    if spoil == "loss":
        handle = state.model.register_forward_hook(lambda _m, _i, z: z * by)
    if spoil == "gradient":
        weight = next(p for p in state.model.parameters() if p.ndim >= 2)
        handle = weight.register_hook(lambda grad: grad.index_fill(0, torch.tensor([0]), by))
    train_step(state, views, config.learning_rate, config, machine, LABELS)
    if handle is not None:
        handle.remove()
    state.step += 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_finite_is_not_changed_by_a_bit(machine: Machine, name: str) -> None:
    """The reference takes the same steps with nothing but the optimiser and the average."""

    class Unguarded(FiniteGuard):
        def remember(self) -> None:
            pass

        def update(self, loss: Tensor, norm: Tensor) -> None:
            state.optimizer.step()
            assert state.ema is not None
            state.ema.update_parameters(state.model)

    config = make_config(name, clip_grad_norm=0.5)
    state = make_state(config, machine, on_device=False)
    state.guard = Unguarded(state.model, state.optimizer, state.ema, on_device=False)
    on_host, on_device = (make_state(config, machine, on_device=way) for way in (False, True))
    for _ in range(6):
        for each in (state, on_host, on_device):
            take(each, config, machine)
        assert differing(bits(state), bits(on_host)) == []
        assert differing(bits(state), bits(on_device)) == []
    moments = [each.optimizer.state_dict()["state"] for each in (state, on_host, on_device)]
    for key, values in moments[0].items():
        for part, value in values.items():
            assert torch.equal(value, moments[1][key][part]), part
            assert torch.equal(value, moments[2][key][part]), part


@pytest.mark.parametrize("on_device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("spoil", INJECTIONS)
def test_a_bad_step_leaves_weights_average_and_statistics_as_they_were(
    machine: Machine, name: str, on_device: bool, spoil: str
) -> None:
    config = make_config(name)
    state = make_state(config, machine, on_device=on_device)
    for _ in range(2):
        take(state, config, machine)
    before = bits(state)
    take(state, config, machine, spoil=spoil)
    assert differing(before, bits(state)) == []
    assert all(value.isfinite().all() for value in bits(state).values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_after_a_bad_step_no_later_one_changes_anything(machine: Machine, name: str) -> None:
    """The host reads the verdict up to a second later; the optimiser's own moments may be spoilt by then."""
    config = make_config(name)
    for on_device in (False, True):
        state = make_state(config, machine, on_device=on_device)
        take(state, config, machine)
        before = bits(state)
        take(state, config, machine, spoil="gradient")
        for _ in range(3):
            take(state, config, machine)
        assert differing(before, bits(state)) == []
        assert state.guard.has_tripped == (not on_device)


def unguarded(state: TrainState) -> None:
    """Take every step, whatever its figures."""
    state.guard.update = lambda *_: (state.optimizer.step(), None)[1]  # type: ignore[method-assign]


@pytest.mark.parametrize("spoil", INJECTIONS)
def test_without_the_guard_a_bad_step_spoils_the_weights(machine: Machine, spoil: str) -> None:
    """The negative control."""
    config = make_config("adamw")
    state = make_state(config, machine, on_device=False)
    unguarded(state)
    take(state, config, machine)
    before = bits(state)
    take(state, config, machine, spoil=spoil)
    assert any(name.startswith("model.") for name in differing(before, bits(state)))
    assert first_spoilt(state.payload()) is not None


@pytest.mark.reliability
@pytest.mark.parametrize("on_device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_twenty_of_twenty_injections_change_nothing(machine: Machine, name: str, on_device: bool) -> None:
    config = make_config(name)
    held = 0
    for bad_step in range(20):
        state = make_state(config, machine, on_device=on_device)
        for _ in range(bad_step):
            take(state, config, machine)
        before = bits(state)
        by = (math.nan, math.inf, -math.inf)[bad_step % 3]
        take(state, config, machine, spoil=INJECTIONS[bad_step % 3], by=by)
        take(state, config, machine)
        held += not differing(before, bits(state))
    assert held == 20


def test_a_finite_loss_with_a_gradient_that_overflows_is_caught(machine: Machine) -> None:
    config = make_config("sgd")
    for on_device in (False, True):
        state = make_state(config, machine, on_device=on_device)
        before = bits(state)
        take(state, config, machine, spoil="gradient", by=3e38)  # its square is infinite in float32
        assert differing(before, bits(state)) == []


def test_a_payload_that_holds_infinity_is_named(machine: Machine) -> None:
    config = make_config("adamw")
    state = make_state(config, machine, on_device=False)
    take(state, config, machine)
    assert first_spoilt(state.payload()) is None
    moments = next(iter(state.optimizer.state.values()))
    moments["exp_avg"].view(-1)[0] = math.inf
    assert first_spoilt(state.payload()) == "optimizer.state.0.exp_avg"
    assert state.ema is not None
    next(state.ema.module.parameters()).data.view(-1)[0] = math.nan
    assert str(first_spoilt(state.payload())).startswith("ema.")


def test_what_a_checkpoint_takes_is_known_before_one_is_written(machine: Machine) -> None:
    for name in OPTIMIZERS:
        config = dataclasses.replace(make_config(name), backbone="resnet18", image_size=32)
        state = make_state(config, machine, on_device=False)
        views = torch.randn(4, 3, 32, 32)
        train_step(state, views, 1e-3, config, machine, LABELS[:2])
        file = io.BytesIO()
        torch.save(state.payload(), file)
        assert state.checkpoint_bytes(config) == pytest.approx(len(file.getvalue()), rel=0.02)
