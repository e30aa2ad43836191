"""A checkpoint of other settings: the weights and the optimiser's memory come with it, its settings do not."""

import copy
import dataclasses
from typing import Any

import pytest
import torch

from tests.trainer.test_loop import make_state, some_views
from trainer.config import PretrainConfig
from trainer.device import Machine, prepare
from trainer.errors import DataError
from trainer.restore import restore
from trainer.step import TrainState, train_step

CONFIG = PretrainConfig(
    backbone="resnet-narrow", image_size=16, head_width=16, projection_size=8, optimizer="sgd", threads=1
)
FORK: dict[str, Any] = {"reason": "fork", "parent_steps_per_epoch": 8}
KEPT = {"reason": "interval"}


@pytest.fixture
def machine() -> Machine:
    return prepare(device="cpu", threads=1)


def trained(config: PretrainConfig, machine: Machine) -> dict[str, Any]:
    """What a checkpoint holds after two steps, in the third step of its second epoch of eight."""
    state = make_state(config)
    for _ in range(2):
        train_step(state, some_views(), 1e-2, config, machine)
    state.step, state.closed_epochs = 11, 1
    return copy.deepcopy(state.payload())


def begun(config: PretrainConfig, payload: dict[str, Any], manifest: dict[str, Any], spe: int = 8) -> TrainState:
    state = make_state(config)
    restore(state, payload, manifest, steps_per_epoch=spe)
    return state


def test_with_the_same_settings_everything_is_as_it_was(machine: Machine) -> None:
    payload = trained(CONFIG, machine)
    state = make_state(CONFIG)
    assert restore(state, payload, KEPT, steps_per_epoch=8) == []
    assert (state.step, state.closed_epochs) == (11, 1)
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, payload["model"][name]), name
    assert state.optimizer.state_dict()["param_groups"] == payload["optimizer"]["param_groups"]


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        ("sgd", {"weight_decay": 0.01, "momentum": 0.5}),
        ("adamw", {"weight_decay": 0.01}),
        ("lars", {"weight_decay": 0.01, "momentum": 0.5, "trust_coefficient": 0.1}),
    ],
)
def test_the_optimisers_settings_are_the_runs_own(optimizer: Any, changes: dict[str, Any], machine: Machine) -> None:
    before = dataclasses.replace(CONFIG, optimizer=optimizer, decay_norm_and_bias=False)
    after = dataclasses.replace(before, **changes)
    payload = trained(before, machine)
    fresh, naive = make_state(after), make_state(after)
    state = begun(after, payload, FORK)
    naive.restore(payload)
    for name in changes:
        own = [group[name] for group in fresh.optimizer.param_groups]
        assert [group[name] for group in state.optimizer.param_groups] == own
        assert [group[name] for group in naive.optimizer.param_groups] != own, "the naive way brings back the old ones"


def test_the_next_step_is_one_of_the_new_settings_with_the_old_momentum(machine: Machine) -> None:
    """By hand: v ← m·v + g + d·w, w ← w − lr·v."""
    after = dataclasses.replace(CONFIG, weight_decay=0.25, momentum=0.5)
    payload = trained(CONFIG, machine)
    state = begun(after, payload, FORK)
    weight = next(state.model.parameters())
    before = weight.detach().clone()
    momentum = payload["optimizer"]["state"][0]["momentum_buffer"].clone()
    train_step(state, some_views(), 0.1, after, machine)
    assert weight.grad is not None
    velocity = 0.5 * momentum + weight.grad + 0.25 * before
    assert torch.allclose(weight, before - 0.1 * velocity, atol=1e-6)


def test_an_average_that_is_switched_on_begins_as_the_weights(machine: Machine) -> None:
    payload = trained(CONFIG, machine)
    after = dataclasses.replace(CONFIG, ema_decay=0.9)
    state = make_state(after)
    assert restore(state, payload, FORK, steps_per_epoch=8) == ["the moving average begins as the weights"]
    assert state.ema is not None
    for name, value in state.ema.module.state_dict().items():
        assert torch.equal(value, payload["model"][name]), name
    with pytest.raises(DataError, match="has no ema"):
        make_state(after).restore(payload)  # the naive way


def test_an_average_that_is_switched_off_is_dropped_and_told(machine: Machine) -> None:
    payload = trained(dataclasses.replace(CONFIG, ema_decay=0.9), machine)
    state = make_state(CONFIG)
    (told,) = restore(state, payload, FORK, steps_per_epoch=8)
    assert "is dropped" in told
    assert "ema" not in state.payload()


def test_a_fresh_optimiser_has_no_memory(machine: Machine) -> None:
    payload = trained(CONFIG, machine)
    after = dataclasses.replace(CONFIG, optimizer="adamw", decay_norm_and_bias=False)
    state = make_state(after)
    assert restore(state, payload, {**FORK, "fresh_optimizer": True}, steps_per_epoch=8) == [
        "the optimiser begins anew"
    ]
    assert not state.optimizer.state_dict()["state"]
    for name, value in state.model.state_dict().items():
        assert torch.equal(value, payload["model"][name]), name
    with pytest.raises(DataError, match="optimiser state"):
        begun(after, payload, FORK)


@pytest.mark.parametrize(("now", "step"), [(4, 4), (16, 16)])
def test_other_steps_an_epoch_begin_the_first_epoch_that_is_open(now: int, step: int, machine: Machine) -> None:
    payload = trained(CONFIG, machine)
    payload["clock"] = {"trained": 100.0, "epoch": 7.0, "aside": 2.0}
    state = make_state(CONFIG)
    (told,) = restore(state, payload, FORK, steps_per_epoch=now)
    assert (state.step, state.closed_epochs) == (step, 1)
    assert f"an epoch has {now} steps instead of 8, so it goes on at the start of epoch 2, as step {step + 1}" in told
    assert "the weights have learnt from 3 steps of that epoch already" in told
    assert state.clock.trained_seconds >= 100
    assert state.clock.epoch_seconds < 7


def test_a_childs_own_checkpoints_are_not_counted_anew(machine: Machine) -> None:
    payload = trained(CONFIG, machine)
    assert begun(CONFIG, payload, {"reason": "interval", "parent_run_id": "x"}, spe=4).step == 11
