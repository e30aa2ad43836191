"""A step shared by two and three ranks is the step of one process with the whole batch.

In float64, so that a wrong term is far above the error of adding up in another order.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tests.trainer.ranks import on_ranks
from trainer.distributed.batch_norm import share_batch_norm
from trainer.distributed.gather import gather_rows, gather_views
from trainer.group import Line
from trainer.loss import loss_and_metrics
from trainer.ranks import ALONE, Ranks
from trainer.shares import share

N, VIEWS = 12, 2
TOLERANCE = 1e-12
"""Relative; float64 has 2.2e-16, and some thousand numbers are added up in another order."""

LABELS = torch.tensor([0, 1, 2, 0, 1, -1, 2, 2, -1, 0, 3, 3])


def network() -> nn.Module:
    """Convolution, batch norm in both ranks of tensors, and a head: what a SimCLR network is made of."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 8),
    ).double()


def all_views() -> Tensor:
    """(V·N, 3, 9, 9), view 1 of all images first, of very different brightness."""
    generator = torch.Generator().manual_seed(1)
    scale = torch.linspace(0.2, 3, N, dtype=torch.float64).repeat(VIEWS)[:, None, None, None]
    return torch.randn(VIEWS * N, 3, 9, 9, generator=generator, dtype=torch.float64) * scale


def without_gradient(own: Tensor, views: int, ranks: Ranks) -> Tensor:
    """The mistake: others' views come as constants."""
    whole = gather_rows(own.detach(), ranks).unflatten(0, (ranks.world, views, -1)).clone()
    whole[ranks.rank] = own.unflatten(0, (views, -1))
    together: Tensor = whole.transpose(0, 1).flatten(0, 2)
    return together


def some_steps(
    ranks: Ranks,
    gather: Callable[[Tensor, int, Ranks], Tensor] = gather_views,
    is_shared: bool = True,
    method: str = "simclr",
) -> dict[str, Any]:
    """Two steps of SGD on this rank's share: losses, figures, gradients of the first step, weights, statistics."""
    model = network()
    if is_shared:
        model = share_batch_norm(model, torch.device("cpu"))
    called = model if ranks.is_alone else DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    own = share(slice(0, N), ranks)
    views = all_views().unflatten(0, (VIEWS, N))[:, own].flatten(0, 1)
    labels = gather_rows(LABELS[own], ranks) if method == "supcon" else None
    found: dict[str, Any] = {"loss": [], "figures": []}
    for number in range(2):
        loss, figures = loss_and_metrics(gather(called(views), VIEWS, ranks), 0.3, VIEWS, labels)
        optimizer.zero_grad()
        loss.backward()
        if number == 0:
            found["gradients"] = [
                parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None
            ]
        optimizer.step()
        found["loss"].append(loss.item())
        found["figures"].append([figure.item() for figure in figures])
    found["state"] = {name: value.clone() for name, value in model.state_dict().items()}
    return found


def both_methods(line: Line | None) -> list[dict[str, Any]]:
    """Steps of SimCLR, and of SupCon with labels."""
    ranks = ALONE if line is None else line.ranks
    return [some_steps(ranks, method=method) for method in ("simclr", "supcon")]


def both_mistakes(line: Line) -> list[dict[str, Any]]:
    """Steps with others' views as constants, and with a batch norm for each rank alone."""
    return [some_steps(line.ranks, gather=without_gradient), some_steps(line.ranks, is_shared=False)]


def difference(some: list[Tensor], others: list[Tensor]) -> float:
    """The largest difference, relative to the largest number: some gradients are zero but for the float error."""
    largest = max(float(other.abs().max()) for other in others)
    return max(float((one - other).abs().max()) for one, other in zip(some, others, strict=True)) / largest


def floating(state: dict[str, Tensor]) -> list[Tensor]:
    """Weights and statistics without counts."""
    return [value for value in state.values() if value.is_floating_point()]


@pytest.mark.parametrize("world", [2, 3])
def test_losses_gradients_weights_and_statistics_are_those_of_one_process(world: int) -> None:
    for of_rank in on_ranks(world, both_methods):
        for found, alone in zip(of_rank, both_methods(None), strict=True):
            assert found["loss"] == pytest.approx(alone["loss"], rel=TOLERANCE)
            for mine, one in zip(found["figures"], alone["figures"], strict=True):
                assert mine == pytest.approx(one, rel=1e-6), "the three figures are of the whole batch"
            assert difference(found["gradients"], alone["gradients"]) < TOLERANCE
            assert found["state"].keys() == alone["state"].keys(), "a checkpoint is the same whoever saved it"
            assert difference(floating(found["state"]), floating(alone["state"])) < TOLERANCE


def test_a_gather_without_a_gradient_and_batch_norm_of_each_rank_alone_would_be_seen() -> None:
    alone = some_steps(ALONE)
    constants, apart = on_ranks(2, both_mistakes)[0]
    assert constants["loss"][0] == pytest.approx(alone["loss"][0], rel=TOLERANCE), "the loss alone does not tell"
    assert difference(constants["gradients"], alone["gradients"]) > 0.05
    assert abs(apart["loss"][0] / alone["loss"][0] - 1) > 1e-3
