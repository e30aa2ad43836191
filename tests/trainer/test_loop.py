"""One step of training, against the formula and with the mistake that batch norm would notice."""

import dataclasses
import io
import math
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trainer.test_loss_supcon import equation_2
from trainer import loop
from trainer.anatomy import EpochSums
from trainer.background_save import Saver
from trainer.clock import RunClock
from trainer.config import PretrainConfig
from trainer.device import prepare
from trainer.epoch_timer import EpochTimer
from trainer.errors import NonFiniteError
from trainer.guard import FiniteGuard
from trainer.model import build_model
from trainer.optim import averaged_model, build_optimizer
from trainer.step import TrainState, train_step
from trainer.timing import DeviceClock

N = 6
LABELS = torch.tensor([0, 1, 2, 0, 1, -1])
CLASSES = torch.tensor([0, 1, 2, 0, 1, 3])


@pytest.fixture
def config() -> PretrainConfig:
    """A small model without decay, so that an update is easy to say."""
    return PretrainConfig(
        backbone="resnet-narrow",
        image_size=16,
        head_width=16,
        projection_size=8,
        optimizer="sgd",
        momentum=0.0,
        weight_decay=0.0,
        temperature=0.5,
        threads=1,
    )


def make_state(config: PretrainConfig) -> TrainState:
    """A model that has not been trained."""
    model = build_model(config, classes=4)
    ema = averaged_model(model, config.ema_decay) if config.ema_decay else None
    return TrainState(model, build_optimizer(model, config), RunClock(), data="", ema=ema)


def some_views(views: int = 2) -> Tensor:
    """The same for every call, view 1 of all images first."""
    return torch.randn(views * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def weights_of(module: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all weights and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def slow_loss(z: torch.Tensor, temperature: float) -> float:
    """Algorithm 1 of the SimCLR paper, in float64 and one pair at a time."""
    unit = [row / row.norm() for row in z.double()]
    total = 0.0
    for i in range(2 * N):
        partner = (i + N) % (2 * N)
        others = [float(unit[i] @ unit[k]) / temperature for k in range(2 * N) if k != i]
        total += -float(unit[i] @ unit[partner]) / temperature + math.log(sum(map(math.exp, others)))
    return total / (2 * N)


def test_a_step_reports_the_papers_loss_and_moves_against_its_gradient(config: PretrainConfig) -> None:
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    machine = prepare(device="cpu", threads=1)
    reference = make_state(config)
    reference.model.train()
    z = reference.model(views)
    state = make_state(config)
    before = {name: value.clone() for name, value in state.model.named_parameters()}
    figures = train_step(state, views, 0.1, config, machine)
    assert float(figures[0]) == pytest.approx(slow_loss(z.detach(), 0.5), abs=1e-5)
    squares = 0.0
    for name, value in state.model.named_parameters():
        assert value.grad is not None
        assert torch.allclose(value, before[name] - 0.1 * value.grad, atol=1e-7), name
        squares += float(value.grad.double().square().sum())
    assert float(figures[4]) == pytest.approx(math.sqrt(squares), rel=1e-5)


def test_views_that_went_through_the_network_apart_would_give_another_loss(config: PretrainConfig) -> None:
    """The negative control: batch norm sees each view's own statistics, and the network can tell them apart."""
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    views[N:] += 1.0
    machine = prepare(device="cpu", threads=1)
    apart = make_state(config)
    apart.model.train()
    z = torch.cat([apart.model(views[:N]), apart.model(views[N:])])
    together = float(train_step(make_state(config), views, 0.1, config, machine)[0])
    assert abs(slow_loss(z.detach(), 0.5) - together) > 0.05


def test_a_state_goes_through_its_payload_bit_for_bit(config: PretrainConfig) -> None:
    views = torch.randn(2 * N, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    machine = prepare(device="cpu", threads=1)
    first, second = make_state(config), make_state(config)
    for _ in range(3):
        train_step(first, views, 0.1, config, machine)
        first.step += 1
    second.restore(first.payload())
    assert second.step == 3
    a, b = (train_step(state, views, 0.1, config, machine) for state in (first, second))
    assert torch.equal(a, b)
    for left, right in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert torch.equal(left, right)


def step_against_the_gradient(
    config: PretrainConfig, labels: Tensor, views: int, loss_of: Callable[[Tensor], Tensor]
) -> Tensor:
    """Take a step and hold every weight against the gradient of a loss that was written down here; its figures."""
    inputs, machine = some_views(views), prepare(device="cpu", threads=1)
    reference, state = make_state(config).model, make_state(config)
    reference.train()
    loss = loss_of(reference(inputs))
    loss.backward()
    before = weights_of(reference)
    figures = train_step(state, inputs, 0.1, config, machine, labels)
    assert figures[0].item() == pytest.approx(loss.item(), abs=1e-6)
    for name, parameter in state.model.named_parameters():
        gradient = reference.get_parameter(name).grad
        assert gradient is not None
        torch.testing.assert_close(parameter.detach(), before[name] - 0.1 * gradient, rtol=1e-5, atol=1e-6, msg=name)
    return figures


@pytest.mark.parametrize("views", [2, 3])
def test_a_step_of_supcon_moves_against_the_gradient_of_its_equation(config: PretrainConfig, views: int) -> None:
    def by_hand(z: Tensor) -> Tensor:
        unit = F.normalize(z, dim=1)
        logits = (unit @ unit.T / 0.5).masked_fill(torch.eye(len(z)).bool(), -torch.inf)
        terms = []
        for i in range(len(z)):
            partners = [p for p in range(len(z)) if p != i and (p % N == i % N or LABELS[p % N] == LABELS[i % N] >= 0)]
            terms.append(-torch.stack([logits[i].log_softmax(dim=0)[p] for p in partners]).mean())
        return torch.stack(terms).mean()

    settings = dataclasses.replace(config, method="supcon", views=views)
    figures = step_against_the_gradient(settings, LABELS, views, by_hand)
    model = make_state(settings).model.train()
    z = model(some_views(views)).detach().double()
    assert figures[0].item() == pytest.approx(equation_2(z, LABELS, 0.5), abs=1e-5)


@pytest.mark.parametrize("views", [1, 2])
def test_a_step_of_the_baseline_moves_against_the_gradient_of_the_cross_entropy(
    config: PretrainConfig, views: int
) -> None:
    settings = dataclasses.replace(config, method="cross-entropy", views=views)
    figures = step_against_the_gradient(
        settings, CLASSES, views, lambda logits: F.cross_entropy(logits, torch.cat([CLASSES] * views))
    )
    assert figures[1].item() * views * N == pytest.approx(round(figures[1].item() * views * N), abs=1e-4)


def test_clipping_shortens_the_gradient_and_the_norm_that_is_noted_is_the_one_before(config: PretrainConfig) -> None:
    machine = prepare(device="cpu", threads=1)
    free, clipped = make_state(config), make_state(config)
    before = weights_of(free.model)
    norm = train_step(free, some_views(), 0.1, config, machine)[4]
    limit = norm.item() / 3
    noted = train_step(clipped, some_views(), 0.1, dataclasses.replace(config, clip_grad_norm=limit), machine)[4]
    assert torch.equal(noted, norm)
    for name, _ in free.model.named_parameters():
        whole, third = (state.model.get_parameter(name).detach() - before[name] for state in (free, clipped))
        torch.testing.assert_close(third, whole / 3, rtol=1e-3, atol=1e-7, msg=name)


def test_the_average_follows_the_steps_and_is_what_gets_scored(config: PretrainConfig) -> None:
    machine, settings = prepare(device="cpu", threads=1), dataclasses.replace(config, ema_decay=0.75)
    state = make_state(settings)
    assert state.ema is not None
    assert state.scored_model is state.ema.module
    expected = {name: value.double() for name, value in weights_of(state.model).items()}
    for _ in range(4):
        train_step(state, some_views(), 0.1, settings, machine)
        for name, value in state.model.state_dict().items():
            expected[name] = 0.75 * expected[name] + 0.25 * value if value.is_floating_point() else value.double()
    for name, value in state.scored_model.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-6, msg=name)
    without = make_state(config)
    assert without.scored_model is without.model


def test_the_average_leaves_the_training_as_it_is(config: PretrainConfig) -> None:
    machine = prepare(device="cpu", threads=1)
    plain, followed = make_state(config), make_state(dataclasses.replace(config, ema_decay=0.9))
    for state in (plain, followed):
        for _ in range(2):
            train_step(state, some_views(), 0.1, config, machine)
    for name, value in weights_of(plain.model).items():
        assert torch.equal(value, followed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"ema_decay": 0.9, "optimizer": "lars", "decay_norm_and_bias": False, "momentum": 0.9, "weight_decay": 0.01},
        {"ema_decay": 0.5, "optimizer": "adamw", "method": "supcon", "head_batch_norm": True},
        {"ema_decay": 0.9, "method": "cross-entropy", "clip_grad_norm": 0.1, "momentum": 0.9},
    ],
    ids=["lars", "supcon", "cross-entropy"],
)
def test_a_state_with_an_average_goes_on_bit_for_bit_from_a_file(
    config: PretrainConfig, changes: dict[str, Any]
) -> None:
    machine, settings = prepare(device="cpu", threads=1), dataclasses.replace(config, **changes)
    first, second = make_state(settings), make_state(settings)
    for _ in range(3):
        train_step(first, some_views(), 0.1, settings, machine, CLASSES)
        first.step += 1
    file = io.BytesIO()
    torch.save(first.payload(), file)
    file.seek(0)
    second.restore(torch.load(file, weights_only=True))
    for _ in range(2):
        a, b = (train_step(state, some_views(), 0.1, settings, machine, CLASSES) for state in (first, second))
        assert torch.equal(a, b)
    assert first.ema is not None
    assert second.ema is not None
    for ours, theirs in ((first.model, second.model), (first.ema.module, second.ema.module)):
        for name, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name


class Reads(TorchDispatchMode):
    """Notes the operations that would make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names |= {func.overloadpacket.__name__} & {"_local_scalar_dense", "nonzero", "masked_select", "equal"}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars"])
@pytest.mark.parametrize("method", ["simclr", "supcon", "cross-entropy"])
def test_a_step_reads_nothing_back(config: PretrainConfig, optimizer: str, method: str) -> None:
    settings = dataclasses.replace(
        config,
        optimizer=optimizer,  # type: ignore[arg-type]
        method=method,  # type: ignore[arg-type]
        ema_decay=0.9,
        clip_grad_norm=0.1,
        decay_norm_and_bias=False,
    )
    state, machine = make_state(settings), prepare(device="cpu", threads=1)
    state.guard = FiniteGuard(state.model, state.optimizer, state.ema, on_device=True)
    for _ in range(2):
        with Reads() as reads:
            train_step(state, some_views(), 0.1, settings, machine, CLASSES)
        assert reads.names == set()
    with Reads() as reads:
        state.model(some_views()).sum().item()
    assert reads.names == {"_local_scalar_dense"}


def test_weights_that_overflowed_are_named_and_never_saved() -> None:
    """An update of finite gradients may overflow, and a checkpoint of it would be gone on from for good."""
    saved: list[object] = []
    told: list[tuple[str, int]] = []
    training = SimpleNamespace(
        recorder=SimpleNamespace(flush=lambda **_: None, all_committed=True),
        timer=EpochTimer(DeviceClock(prepare(device="cpu", threads=1)), EpochSums()),
        job=SimpleNamespace(
            control=SimpleNamespace(phase=lambda _: nullcontext()),
            event=lambda kind, _message, *, level, step: told.append((f"{level}: {kind}", step)),
        ),
    )
    keeper = SimpleNamespace(save=lambda payload, **_: saved.append(payload))
    training.saver = Saver(keeper, training.job, in_background=False, shares_cores=True)  # type: ignore[arg-type]
    weights = torch.tensor([1.0, 2.0])
    state = SimpleNamespace(step=7, clock=RunClock(), payload=lambda: {"model": {"w": weights}})
    loop._write(training, state, 1, "interval", None)  # type: ignore[arg-type]
    assert len(saved) == 1
    weights[1] = torch.inf
    with pytest.raises(NonFiniteError, match=r"model\.w is not finite after step 7"):
        loop._write(training, state, 1, "interval", None)  # type: ignore[arg-type]
    assert len(saved) == 1
    assert told == [("error: non-finite", 7)]


@pytest.mark.parametrize("may_begin", [True, False])
def test_what_is_due_while_a_checkpoint_is_written_waits_and_leaves_the_keeper_alone(
    monkeypatch: pytest.MonkeyPatch, may_begin: bool
) -> None:
    saved: list[tuple[Any, ...]] = []
    monkeypatch.setattr(loop, "_save", lambda _training, _state, _epoch, reason, *score: saved.append((reason, *score)))
    monkeypatch.setattr(loop, "_measure", lambda *_: {"knn_top1": 0.5})
    monkeypatch.setattr(loop, "_insist", lambda *_: None)
    monkeypatch.setattr(loop, "_show_progress", lambda *_: None)
    training: Any = SimpleNamespace(
        config=SimpleNamespace(epochs=9),
        recorder=SimpleNamespace(due=False),
        timer=SimpleNamespace(end_epoch=lambda _: None),
        health=SimpleNamespace(judge=lambda **_: None),
        job=SimpleNamespace(control=SimpleNamespace(intent=lambda: None, take_save=lambda: False)),
        # Without is_better: while a thread writes, the keeper is its own alone.
        keeper=SimpleNamespace(due=True, is_milestone=lambda _: False),
        saver=SimpleNamespace(look=lambda: None, may_begin=may_begin, is_better=lambda score: score == 0.5),
    )
    clock = SimpleNamespace(next_epoch=lambda _: None)
    state: Any = SimpleNamespace(step=3, clock=clock, guard=SimpleNamespace(has_tripped=False))
    loop._between_steps(training, state, 1)
    loop._close_epoch(training, state, 1)
    assert saved == ([("interval",), ("best", 0.5)] if may_begin else [])
