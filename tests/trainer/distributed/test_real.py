"""The real network, shared by ranks."""

import pytest
import torch
from torch import Tensor

from tests.trainer.ranks import on_ranks
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.distributed.network import shared_functions
from trainer.group import Line
from trainer.model import build_model
from trainer.optim import build_optimizer
from trainer.clock import RunClock
from trainer.ranks import ALONE
from trainer.shares import share
from trainer.step import Functions, TrainState, update

N = 12


def gradients(line: Line | None, dtype: str, channels_last: str) -> list[Tensor]:
    config = PretrainConfig(backbone="resnet-narrow", image_size=32, threads=1, temperature=0.2)
    machine = prepare(device="cpu", threads=1, channels_last=channels_last)
    model = build_model(config, classes=4).to(getattr(torch, dtype))
    state = TrainState(model, build_optimizer(model, config), RunClock(), data="")
    views = torch.randn(2, N, 3, 32, 32, generator=torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    ranks = ALONE if line is None else line.ranks
    own = views[:, share(slice(0, N), ranks)].flatten(0, 1)
    if channels_last == "yes":
        own = own.contiguous(memory_format=torch.channels_last)
        state.model.to(memory_format=torch.channels_last)
    functions = Functions(state.model) if line is None else shared_functions(state, machine, ranks)
    state.model.train()
    found = update(state, own, config, machine, None, functions)
    return [found, *(p.grad for p in state.model.parameters())]


@pytest.mark.parametrize("case", [("float64", "no"), ("float32", "no"), ("float32", "yes")])
def test_real(case):
    alone = gradients(None, *case)
    exact = gradients(None, "float64", "no")
    two = on_ranks(2, gradients, *case)[0]
    big = max(float(g.abs().max()) for g in alone[1:])
    print(case, "two vs one", max(float((a - b).abs().max()) for a, b in zip(two[1:], alone[1:])) / big,
      "one vs exact", max(float((a - b).abs().max()) for a, b in zip(alone[1:], exact[1:])) / big,
      "two vs exact", max(float((a - b).abs().max()) for a, b in zip(two[1:], exact[1:])) / big, two[0], alone[0])
