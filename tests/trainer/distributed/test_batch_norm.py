"""Batch norm over all ranks, against torch's on the whole batch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.ranks import on_ranks
from trainer.distributed.batch_norm import SharedBatchNorm, share_batch_norm
from trainer.group import Line
from trainer.shares import share

N = 6
CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("rows", (N, 4), {}),
    ("images", (N, 4, 5, 3), {}),
    ("bare", (N, 4, 2), {"affine": False}),
    ("mean of all", (N, 4), {"momentum": None}),
    ("no statistics", (N, 4, 2, 2), {"track_running_stats": False}),
]


def given(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Rows far from zero, where a variance by the mean of squares loses digits, and a gradient for what comes out."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(shape, generator=generator) * torch.arange(1.0, N + 1).view(N, *[1] * (len(shape) - 1)) + 1000
    return x, torch.randn(shape, generator=generator)


def norm_of(shape: tuple[int, ...], options: dict[str, Any]) -> nn.Module:
    """torch's own, with a scale and an offset that can be seen."""
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    norm: nn.Module = kind(shape[1], **options).double()
    for parameter, low, high in zip(norm.parameters(), (0.5, -1.0), (2.0, 1.0), strict=False):
        nn.init.uniform_(parameter, low, high)
    return norm


def passes(norm: nn.Module, x: Tensor, gradient: Tensor) -> dict[str, Tensor]:
    """Two passes in training with what flows back, one in evaluation, and the state after them."""
    x = x.double().requires_grad_()
    norm(x)
    out = norm(x)
    out.backward(gradient.double())
    found = {"out": out.detach(), "back": x.grad, **{f"state {k}": v.clone() for k, v in norm.state_dict().items()}}
    return found | {"evaluated": norm.eval()(x).detach()}


def shared(line: Line) -> list[dict[str, Tensor]]:
    """This rank's rows of every case."""
    found = []
    for _, shape, options in CASES:
        torch.manual_seed(0)
        norm = share_batch_norm(norm_of(shape, options), torch.device("cpu"))
        x, gradient = given(shape)
        own = share(slice(0, N), line.ranks)
        found.append(passes(norm, x[own], gradient[own]))
    return found


@pytest.mark.parametrize("world", [2, 3])
def test_out_back_and_statistics_are_those_of_the_whole_batch(world: int) -> None:
    of_ranks = on_ranks(world, shared)
    for number, (name, shape, options) in enumerate(CASES):
        torch.manual_seed(0)
        one = passes(norm_of(shape, options), *given(shape))
        for key, expected in one.items():
            found = [of_rank[number][key] for of_rank in of_ranks]
            is_rows = key in ("out", "back", "evaluated")
            whole = torch.cat(found) if is_rows else found[-1]
            if key == "evaluated" and options.get("track_running_stats") is False:
                continue  # torch takes each batch's own statistics there
            torch.testing.assert_close(whole, expected, rtol=1e-9, atol=1e-9, msg=f"{name}, {key}")


def test_a_model_keeps_its_names_values_and_modes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), nn.BatchNorm2d(4)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    after = share_batch_norm(model, torch.device("cpu"))
    assert [type(module) for module in after.modules() if "Norm" in type(module).__name__] == [SharedBatchNorm] * 2
    assert after.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in after.state_dict().items())
    assert not any(module.training for module in after.modules())
    assert share_batch_norm(after, torch.device("cpu")) is after, "twice is once"


def test_without_other_ranks_it_is_torchs_own() -> None:
    torch.manual_seed(0)
    shape = (N, 4)
    norm = norm_of(shape, {})
    expected = passes(norm, *given(shape))
    torch.manual_seed(0)
    found = passes(share_batch_norm(norm_of(shape, {}), torch.device("cpu")), *given(shape))
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_a_single_number_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="takes"):
        SharedBatchNorm(3)(torch.zeros(3))
