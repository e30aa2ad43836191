"""Steps that are replayed from a graph are the eager ones, bit for bit, and what a graph would keep is found out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.trainer.captures import RecordedCapture
from trainer.augment import AugmentRecipe
from trainer.config import PretrainConfig
from trainer.data.split import TensorImages
from trainer.device import Machine, prepare
from trainer.feed import TableFeed, make_feed
from trainer.fused import plain
from trainer.graph import GraphStepper
from trainer.guard import FiniteGuard
from trainer.loader import ViewLoader
from trainer.parts import COPY, STEP_PARTS
from trainer.schedule import learning_rate
from trainer.step import new_state
from trainer.step_check import Rollback
from trainer.stepper import EagerStepper, Stepper

COUNT, SIDE = 23, 16
LABELS = torch.arange(COUNT) % 4
SMALL: dict[str, Any] = {
    "backbone": "resnet-narrow",
    "width_multiplier": 1.0,
    "image_size": SIDE,
    "head_width": 16,
    "projection_size": 8,
    "batch_size": 5,
    "drop_last": False,
    "num_workers": 0,
    "schedule": "step",
    "epochs": 3,
    "learning_rate": 0.01,
    "threads": 1,
}
WAYS: dict[str, dict[str, Any]] = {
    "kornia, adamw": {"augment": "kornia", "clip_grad_norm": 0.5},
    "torchvision, sgd, average, supcon": {
        "augment": "torchvision",
        "optimizer": "sgd",
        "ema_decay": 0.9,
        "method": "supcon",
        "head_batch_norm": True,
    },
    "fused without tables, sgd": {"augment": "fused", "optimizer": "sgd", "same_on_batch": True},
    "tables on the device, adamw, average, cross-entropy": {
        "augment": "fused",
        "cache": "vram",
        "ema_decay": 0.9,
        "clip_grad_norm": 0.5,
        "method": "cross-entropy",
    },
}


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A CPU with one thread."""
    return prepare(device="cpu", threads=1)


class Run:
    """A small run that takes steps one way or the other."""

    def __init__(self, settings: dict[str, Any], machine: Machine, *, payload: dict[str, Any] | None = None) -> None:
        self.config = PretrainConfig.from_values(SMALL | settings)
        self.machine = machine
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        labels = LABELS if self.config.is_supervised else None
        self.loader = ViewLoader(TensorImages(images), self.config, machine, workers=0, labels=labels)
        if self.config.augment == "fused" and not machine.is_cuda:
            # With static shapes, as the kernels have on CUDA; what a CPU takes by itself looks at the values.
            recipe = AugmentRecipe.from_config(self.config)
            self.loader._fused = partial(plain.fused_views, recipe=recipe, out_size=SIDE)
        self.state = new_state(self.config, machine, classes=4, data="")
        self.state.guard = FiniteGuard(self.state.model, self.state.optimizer, self.state.ema, on_device=True)
        if payload is not None:
            self.state.restore(payload)
        self.stepper: Stepper = EagerStepper(self.state, self.loader, self.config, machine)
        self.capture = RecordedCapture()

    def use_graph(self, sampled_every: int = 4, **settings: Any) -> GraphStepper:
        """Replay from here on."""
        feed = make_feed(self.loader, self.config, self.machine)
        stepper = GraphStepper(self.state, feed, self.config, self.machine, self.capture, **settings)
        stepper.sampled_every = sampled_every
        self.stepper = stepper
        return stepper

    def go_on(self, to: int, part: Callable[[str], Any] | None = None) -> list[Tensor]:
        """Take steps up to one; their figures."""
        figures, per_epoch = [], self.loader.steps_per_epoch()
        while self.state.step < to:
            first = self.state.step % per_epoch
            for batch in self.loader.epoch(self.state.step // per_epoch + 1, first_batch=first):
                lr = learning_rate(self.state.step + 1, per_epoch, self.config)
                taken = self.stepper.take(batch, lr, part) if part else self.stepper.take(batch, lr)
                figures.append(taken.clone())
                self.state.step += 1
                if self.state.step == to:
                    break
        return figures


def tensors_of(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every tensor, number and string of a payload, by name."""
    if isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from tensors_of(inner, f"{name}.{key}")
    else:
        yield name, value


def differing(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """Names of what is not the same in two payloads, bit for bit; times of the clock left out."""
    one, two = (dict(tensors_of({k: v for k, v in payload.items() if k != "clock"})) for payload in (left, right))
    assert one.keys() == two.keys()
    return [
        name
        for name, value in one.items()
        if not (torch.equal(value, two[name]) if isinstance(value, Tensor) else value == two[name])
    ]


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS.keys())
def test_replayed_steps_are_the_eager_ones_bit_for_bit(machine: Machine, settings: dict[str, Any]) -> None:
    """Over two epochs with a short last batch each, a rate that changes at every step, and launched steps between."""
    eager, replayed = Run(settings, machine), Run(settings, machine)
    replayed.use_graph()
    expected, found = eager.go_on(10), replayed.go_on(10)
    assert [torch.equal(one, other) for one, other in zip(expected, found, strict=True)] == [True] * 10
    assert differing(eager.state.payload(), replayed.state.payload()) == []
    assert replayed.capture.replays == 6  # neither the two short batches nor steps 4 and 8, which are launched
    assert learning_rate(1, 5, eager.config) != learning_rate(2, 5, eager.config)


def test_a_learning_rate_that_is_a_number_is_kept_by_the_graph(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    settings = WAYS["kornia, adamw"]
    eager, replayed = Run(settings, machine), Run(settings, machine)
    monkeypatch.setattr("trainer.graph.make_capturable", lambda *_: None)
    replayed.use_graph(sampled_every=1000)
    eager.go_on(4)
    replayed.go_on(4)
    assert differing(eager.state.payload(), replayed.state.payload()) != []


def test_a_buffer_that_is_replaced_is_not_what_a_graph_reads(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control; a graph knows addresses."""
    settings = WAYS["kornia, adamw"]
    eager, replayed = Run(settings, machine), Run(settings, machine)
    stepper = replayed.use_graph(sampled_every=1000)
    feed: Any = stepper._feed
    load = feed.load

    def replace(*arguments: Any) -> Any:
        feed._held = feed._held.clone()
        return load(*arguments)

    monkeypatch.setattr(feed, "load", replace)
    expected, found = eager.go_on(4), replayed.go_on(4)
    assert not torch.equal(expected[0], found[0])


def test_a_graph_on_tables_is_brought_numbers_in_any_order(machine: Machine) -> None:
    """Epochs, a short batch, a launched step and jumps."""
    settings = {"augment": "fused", "cache": "vram"}
    eager, replayed = Run(settings, machine), Run(settings, machine)
    assert isinstance(replayed.use_graph(sampled_every=4)._feed, TableFeed)
    for step in (0, 1, 2, 7, 3, 4, 10, 6):
        for run in (eager, replayed):
            run.state.step = step
        (expected,), (found,) = eager.go_on(step + 1), replayed.go_on(step + 1)
        assert torch.equal(expected, found)
    assert replayed.capture.replays == 5
    assert differing(eager.state.payload(), replayed.state.payload()) == []


def test_a_batch_of_more_images_than_there_are_is_captured_and_never_replayed(machine: Machine) -> None:
    settings = {"augment": "fused", "cache": "vram", "batch_size": COUNT + 3}
    eager, replayed = Run(settings, machine), Run(settings, machine)
    replayed.use_graph(sampled_every=1000)
    assert all(map(torch.equal, eager.go_on(2), replayed.go_on(2)))
    assert replayed.capture.replays == 0


@pytest.mark.parametrize("stale", ["_source", "_numbers_B"])
def test_a_table_or_numbers_that_are_not_filled_anew_give_other_steps(machine: Machine, stale: str) -> None:
    """The negative control."""
    settings = {"augment": "fused", "cache": "vram"}
    eager, replayed = Run(settings, machine), Run(settings, machine)
    feed: Any = replayed.use_graph(sampled_every=1000)._feed
    expected = eager.go_on(6)
    first = replayed.go_on(5)
    assert torch.equal(first[3], expected[3])
    if stale == "_source":
        feed._source = replayed.loader.epoch_tables(2)[1]
    else:
        feed._numbers_B = feed._numbers_B.clone()
    (sixth,) = replayed.go_on(6)
    assert not torch.equal(sixth, expected[5])


@pytest.mark.parametrize("settings", list(WAYS.values())[1::2], ids=list(WAYS)[1::2])
def test_capturing_leaves_everything_as_it_was(machine: Machine, settings: dict[str, Any]) -> None:
    """In the middle of a run: weights, moments, average, statistics and figures."""
    run = Run(settings, machine)
    run.go_on(3)
    before = {name: v.clone() if isinstance(v, Tensor) else v for name, v in tensors_of(run.state.payload())}
    stepper = run.use_graph()
    assert stepper.wrong() == ""
    after = dict(tensors_of(run.state.payload()))
    changed = [
        name
        for name, value in before.items()
        if not name.startswith((".clock", ".optimizer.param_groups"))
        and not (torch.equal(value, after[name]) if isinstance(value, Tensor) else value == after[name])
    ]
    assert changed == []


def test_a_trial_that_is_not_finite_trips_no_guard(machine: Machine) -> None:
    """It would refuse every step of the run."""
    run = Run({}, machine)
    before = Rollback(run.state)
    run.state.guard._bad.fill_(True)
    before.put_back()
    assert not run.state.guard._bad


def test_without_putting_back_a_capture_would_change_the_weights(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    run = Run(WAYS["kornia, adamw"], machine)
    before = {name: value.clone() for name, value in run.state.model.state_dict().items()}
    monkeypatch.setattr("trainer.step_check.Rollback.put_back", lambda _: None)
    run.use_graph()
    assert any(not torch.equal(value, before[name]) for name, value in run.state.model.state_dict().items())


@pytest.mark.parametrize("settings", list(WAYS.values())[1::2], ids=list(WAYS)[1::2])
def test_a_resume_in_the_middle_of_an_epoch_goes_on_bit_for_bit(machine: Machine, settings: dict[str, Any]) -> None:
    whole = Run(settings, machine)
    whole.use_graph()
    expected = whole.go_on(9)
    first = Run(settings, machine)
    first.use_graph()
    first.go_on(3)
    payload = first.state.payload()
    stored = dict(tensors_of(payload))
    assert all(isinstance(value, float) for name, value in stored.items() if name.endswith(".lr"))
    second = Run(settings, machine, payload=payload)
    second.use_graph()
    found = second.go_on(9)
    assert [torch.equal(one, other) for one, other in zip(expected[3:], found, strict=True)] == [True] * 6
    assert differing(whole.state.payload(), second.state.payload()) == []


def test_only_the_sampled_steps_enter_parts_and_they_enter_all(machine: Machine) -> None:
    run = Run(WAYS["kornia, adamw"], machine)
    stepper = run.use_graph(sampled_every=3)
    entered: dict[int, list[str]] = {}

    @contextmanager
    def part(name: str) -> Iterator[None]:
        entered.setdefault(run.state.step + 1, []).append(name)
        yield

    run.go_on(7, part)
    assert stepper.sampled_every == 3
    assert sorted(entered) == [3, 6]
    assert set(entered[3]) == set(STEP_PARTS)
    assert COPY in entered[6]


def test_figures_stay_where_they_are_until_the_ring_comes_round(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = WAYS["kornia, adamw"]
    eager, replayed = Run(settings, machine), Run(settings, machine)
    expected = eager.go_on(8)
    replayed.use_graph(ring_steps=4)
    views: list[Tensor] = []
    take = replayed.stepper.take

    def keep(*arguments: Any) -> Tensor:
        views.append(take(*arguments))
        return views[-1]

    monkeypatch.setattr(replayed.stepper, "take", keep)
    replayed.go_on(8)
    assert [torch.equal(expected[k], views[k]) for k in range(8)] == [False] * 4 + [True] * 4
    assert [torch.equal(expected[k + 4], views[k]) for k in range(4)] == [True] * 4


def test_a_step_that_is_not_finite_changes_nothing_inside_a_graph(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(WAYS["torchvision, sgd, average, supcon"], machine)
    feed = run.use_graph(sampled_every=1000)._feed
    run.go_on(2)
    before = {name: value.clone() for name, value in run.state.model.state_dict().items()}
    load = feed.load

    def spoil(*arguments: Any) -> Any:
        left = load(*arguments)
        feed.views()[0, 0, 0, 0] = torch.nan
        return left

    with monkeypatch.context() as patch:
        patch.setattr(feed, "load", spoil)
        (figures,) = run.go_on(3)
    assert figures.isnan().any()
    assert all(later.isfinite().all() for later in run.go_on(4))  # finite, and too late
    assert [name for name, value in run.state.model.state_dict().items() if not torch.equal(value, before[name])] == []


def test_lars_is_captured_with_a_rate_that_reaches_it(machine: Machine) -> None:
    """Its rate is multiplied in one more step there, so that the last bit may be another one."""
    settings = {"optimizer": "lars", "learning_rate": 0.3, "decay_norm_and_bias": False, "drop_last": True}
    eager, replayed = Run(settings, machine), Run(settings, machine)
    replayed.use_graph(sampled_every=1000)
    expected, found = eager.go_on(8), replayed.go_on(8)
    torch.testing.assert_close(torch.stack(expected), torch.stack(found), rtol=1e-3, atol=1e-4)
    assert replayed.capture.replays == 8


def test_a_host_that_asks_for_a_value_can_not_be_captured(machine: Machine) -> None:
    """The negative control of the stand-in itself."""
    with pytest.raises(RuntimeError, match="not permitted"):
        RecordedCapture().capture(lambda: print(torch.ones(3).sum().item()))
    run = Run({}, machine)
    run.state.guard = FiniteGuard(run.state.model, run.state.optimizer, None, on_device=False)
    with pytest.raises(AssertionError, match="asks the host"):
        run.use_graph()
