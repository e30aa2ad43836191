"""The copy of what a checkpoint holds: the same bytes, and nothing that training does later is in it."""

import io
from collections import OrderedDict
from typing import Any

import pytest
import torch

from tests.trainer.test_loop import make_state, some_views
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.payload import unpack
from trainer.snapshot import Snapshot, _host_memory
from trainer.step import TrainState, train_step

CONFIG = PretrainConfig(
    backbone="resnet-narrow", image_size=16, head_width=16, projection_size=8, ema_decay=0.9, threads=1
)


def written(payload: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint's file."""
    file = io.BytesIO()
    torch.save(payload, file)
    return file.getvalue()


@pytest.fixture
def state() -> TrainState:
    """A state whose optimiser has taken a step, so that it has moments."""
    state = make_state(CONFIG)
    go_on(state)
    return state


def go_on(state: TrainState) -> None:
    """Take a step."""
    train_step(state, some_views(), 0.1, CONFIG, prepare(device="cpu", threads=1))
    state.step += 1


def test_a_copy_is_written_with_the_very_bytes_of_the_original_whatever_training_does_then(state: TrainState) -> None:
    payload = state.payload()
    at_once = written(payload)
    snapshot = Snapshot()
    snapshot.take(payload)
    go_on(state)
    assert written(snapshot.on_host()) == at_once
    assert written(payload) != at_once, "the negative control: live tensors have gone on"
    assert unpack(at_once)["step"] == 1


def test_the_memory_of_a_copy_is_used_again_and_made_anew_for_what_has_another_shape(state: TrainState) -> None:
    snapshot = Snapshot()
    fresh = make_state(CONFIG)
    snapshot.take(fresh.payload())  # no moments yet
    assert not snapshot.on_host()["optimizer"]["state"]
    snapshot.take(state.payload())
    places = {path: kept.data_ptr() for path, kept in snapshot._near.items()}
    go_on(state)
    snapshot.take(state.payload())
    assert {path: kept.data_ptr() for path, kept in snapshot._near.items()} == places
    assert written(snapshot.on_host()) == written(snapshot.on_host())
    for name, value in snapshot.on_host()["model"].items():
        assert torch.equal(value, state.model.state_dict()[name]), name
    payload = state.payload()
    snapshot.take(payload | {"model": {"w": torch.ones(3)}})
    snapshot.take(payload | {"model": {"w": torch.ones(2, 2)}})
    assert snapshot.on_host()["model"]["w"].shape == (2, 2)


def test_a_machine_that_locks_no_pages_is_given_plain_memory() -> None:
    """As one without a CUDA device; the layout is that of the tensor."""
    value = torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    memory = _host_memory(value)
    assert (memory.shape, memory.dtype, memory.stride()) == (value.shape, value.dtype, value.stride())


def test_containers_are_copied_with_their_kinds_and_a_change_of_the_original_is_not_in_the_copy() -> None:
    groups = [{"lr": torch.tensor(0.1), "betas": (0.9, 0.999), "params": [0, 1]}]
    payload = {"model": OrderedDict(w=torch.ones(2).t()), "optimizer": {"param_groups": groups}, "data": "x"}
    snapshot = Snapshot()
    snapshot.take(payload)
    groups[0]["lr"].fill_(9.0)  # type: ignore[attr-defined]
    groups[0]["params"].append(2)  # type: ignore[attr-defined]
    copied = snapshot.on_host()
    assert copied["optimizer"]["param_groups"] == [
        {"lr": pytest.approx(0.1), "betas": (0.9, 0.999), "params": [0, 1]},
    ]
    assert type(copied["model"]) is OrderedDict
    assert isinstance(copied["optimizer"]["param_groups"][0]["betas"], tuple)
