"""A step of the real network and recipe, shared by two ranks, is that of one process."""

from typing import Literal

import pytest
import torch
from torch import Tensor

from tests.trainer.ranks import on_ranks
from trainer.clock import RunClock
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.distributed.network import shared_functions
from trainer.group import Line
from trainer.model import build_model
from trainer.optim import build_optimizer
from trainer.ranks import ALONE
from trainer.shares import share
from trainer.step import Functions, TrainState, update

N = 12
LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 3, 2, 1, 0])
METHODS: tuple[Literal["simclr", "supcon", "cross-entropy"], ...] = ("simclr", "supcon", "cross-entropy")


def steps(line: Line | None) -> list[list[Tensor]]:
    """Figures, gradients and weights of a step by each method, in float64."""
    ranks = ALONE if line is None else line.ranks
    views = torch.randn(2, N, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    own = share(slice(0, N), ranks)
    found = []
    for method in METHODS:
        config = PretrainConfig(backbone="resnet-narrow", image_size=32, threads=1, temperature=0.2, method=method)
        machine = prepare(device="cpu", threads=1)
        model = build_model(config, classes=4).double()
        state = TrainState(model, build_optimizer(model, config), RunClock(), data="")
        functions = Functions(model) if line is None else shared_functions(state, machine, ranks)
        model.train()
        labels = LABELS[own] if config.is_supervised else None
        figures = update(state, views[:, own].flatten(0, 1), config, machine, labels, functions)
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        buffers = [value for value in model.state_dict().values() if value.is_floating_point()]
        found.append([figures.double(), *(gradient.clone() for gradient in gradients), *buffers])
    return found


def test_figures_gradients_weights_and_statistics_of_every_method_are_those_of_one_process() -> None:
    """The figures are float32. Adam divides by the gradient's own size, so weights say less than gradients."""
    for of_rank in on_ranks(2, steps):
        for method, mine, alone in zip(METHODS, of_rank, steps(None), strict=True):
            assert mine[0] == pytest.approx(alone[0], rel=1e-6), method
            for one, other in zip(mine[1:], alone[1:], strict=True):
                torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9, msg=method)
