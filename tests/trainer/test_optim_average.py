"""The moving average of the weights, against a slow loop and torch's own."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainer.test_optim import small_model
from trainer.optim import averaged_model


def wander(model: nn.Module, step: int) -> None:
    """Change weights, batch norm's statistics and its count, as a step of training does."""
    generator = torch.Generator().manual_seed(step)
    model(torch.randn(8, 13, generator=generator))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_average_is_the_slow_loops(decay: float) -> None:
    model = small_model()
    average = averaged_model(model, decay)
    expected = {name: value.double().tolist() for name, value in model.state_dict().items()}

    def mix(old: Any, new: Any) -> Any:
        if isinstance(old, list):
            return [mix(a, b) for a, b in zip(old, new, strict=True)]
        return decay * old + (1 - decay) * new

    for step in range(1, 8):
        wander(model, step)
        average.update_parameters(model)
        for name, value in model.state_dict().items():
            expected[name] = mix(expected[name], value.double().tolist()) if value.is_floating_point() else step
    for name, value in average.module.state_dict().items():
        reference = torch.tensor(expected[name], dtype=torch.float64)
        torch.testing.assert_close(value.double(), reference, rtol=1e-5, atol=1e-6, msg=name)
    assert average.module.get_buffer("1.running_var").std() > 0
    assert average.module.get_buffer("1.num_batches_tracked").item() == 7


def test_the_average_is_torchs_own_bit_for_bit() -> None:
    model = small_model()
    ours = averaged_model(model, 0.9)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    theirs.update_parameters(model)  # its first update copies
    for step in range(1, 5):
        wander(model, step)
        ours.update_parameters(model)
        theirs.update_parameters(model)
    for name, value in ours.module.state_dict().items():
        if value.is_floating_point():
            assert torch.equal(value, theirs.module.state_dict()[name]), name


def test_the_average_begins_as_the_model_and_shares_nothing_with_it() -> None:
    model = small_model()
    average = averaged_model(model, 0.9)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average.update_parameters(model)
    wander(model, 1)
    for name, value in average.module.state_dict().items():
        assert torch.equal(value, before[name]), name


class Operations(TorchDispatchMode):
    """Notes every operation that torch carries out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_the_average_neither_reads_a_value_nor_moves_one_between_devices() -> None:
    with torch.device("meta"):
        model = small_model()
    ours = averaged_model(model, 0.9)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    theirs.update_parameters(model)
    with Operations() as of_ours:
        ours.update_parameters(model)
    with Operations() as of_theirs:
        theirs.update_parameters(model)
    assert of_ours.names == {"_foreach_lerp_", "copy_"}
    assert {"_local_scalar_dense", "_to_copy"} <= of_theirs.names  # torch's own does both, and waits for the device
