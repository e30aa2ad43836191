"""Steps that several ranks take compiled are those that they take operation by operation."""

from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from tests.trainer.ranks import on_ranks
from trainer.clock import RunClock
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.distributed import network
from trainer.distributed.ready import ready_stepper
from trainer.errors import TrainerError
from trainer.group import Line
from trainer.model import build_model
from trainer.optim import build_optimizer
from trainer.shares import share
from trainer.step import TrainState

N, STEPS = 12, 2
_WAYS: tuple[Literal["no", "yes"], ...] = ("no", "yes")


def some_steps(line: Line, compiled: Literal["no", "yes"]) -> list[Any]:
    """How steps are run, their figures on noise, gradients of the first, weights and statistics after the last."""
    config = PretrainConfig(
        backbone="resnet-narrow", image_size=32, threads=1, temperature=0.2, batch_size=N, compile=compiled
    )
    machine = prepare(device="cpu", threads=1)
    model = build_model(config, classes=4)
    state = TrainState(model, build_optimizer(model, config), RunClock(), data="")
    every = torch.randn(2, N, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    views = every[:, share(slice(0, N), line.ranks)].flatten(0, 1)
    loader: Any = SimpleNamespace(views=lambda _batch, _part: views)
    stepper = ready_stepper(line, state, loader, config, machine)
    batch: Any = SimpleNamespace(labels=None)
    figures: list[Tensor] = []
    gradients: list[Tensor] = []
    for _ in range(STEPS):
        if line.ranks.leads:
            figures.append(stepper.take(batch, 1e-3))
        else:
            line.hear()
            figures.append(stepper.take(batch, 1e-3))
        gradients = gradients or [one.grad.clone() for one in model.parameters() if one.grad is not None]
        state.step += 1
    after = [value for value in model.state_dict().values() if value.is_floating_point()]
    return [stepper.mode, torch.stack(figures), gradients, after, list(model.state_dict())]


def both(line: Line) -> list[list[Any]]:
    """Steps one after the other, and compiled."""
    return [some_steps(line, compiled) for compiled in _WAYS]


def scaled(line: Line) -> str:
    """What is said where the compiler has made something else of the network, on one rank alone."""

    def partly_negated(called: network.Called) -> None:
        def call(views: Tensor) -> Tensor:
            first, second = called.model(views).chunk(2)
            return torch.cat([-first, second])

        called._called[0] = call if line.ranks.rank == 1 else called.model

    setattr(network.Called, "compile_model", partly_negated)  # noqa: B010 - in a process of its own
    try:
        some_steps(line, "yes")
    except TrainerError as error:
        return str(error)
    return ""


def test_a_compiled_step_that_is_another_one_on_one_rank_is_refused_on_all() -> None:
    for said in on_ranks(2, scaled):
        assert "--compile: yes is not possible: a compiled step is not the eager one" in said


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_compiled_steps_of_two_ranks_are_the_eager_ones_within_float_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32: some 1e-6 of the largest gradient, since a compiler adds up in another order."""
    monkeypatch.setattr("tests.trainer.ranks._SECONDS", 500.0)
    of_ranks = on_ranks(2, both)
    for eager, compiled in of_ranks:
        assert (eager[0], compiled[0]) == ("eager", "compiled")
        torch.testing.assert_close(compiled[1], eager[1], rtol=1e-4, atol=1e-6)
        largest = max(float(gradient.abs().max()) for gradient in eager[2])
        for mine, one in zip(compiled[2], eager[2], strict=True):
            assert float((mine - one).abs().max()) < 1e-4 * largest
        assert compiled[4] == eager[4], "a checkpoint has the same names"
    first, second = (compiled for _, compiled in of_ranks)
    assert all(torch.equal(a, b) for a, b in zip(first[3], second[3], strict=True)), "all ranks stay the same"
