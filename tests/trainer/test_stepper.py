"""How steps are run: chosen and told, never changed without a word."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.captures import RecordedCapture
from tests.trainer.test_device import make_job
from tests.trainer.test_graph import Run, differing
from trainer.capture import Capture, Work
from trainer.device import Machine, fingerprint, prepare
from trainer.errors import ConfigError, TrainerError
from trainer.exactness import differences
from trainer.graph import GraphStepper
from trainer.pretrain import _ready_stepper
from trainer.stepper import EagerStepper, Stepper, check_mode, make_stepper
from trainer.store import RunStore


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A CPU with one thread."""
    return prepare(device="cpu", threads=1)


class Told(list[tuple[str, str, str]]):
    """What was told: kind, level and message."""

    def __call__(self, kind: str, message: str, *, level: str = "info") -> None:
        self.append((kind, level, message))


def made(run: Run, told: Told, capture: Capture | None = None) -> Stepper:
    """What is chosen for a run."""
    return make_stepper(run.state, run.loader, run.config, run.machine, told, capture=capture)


def test_eager_steps_that_are_asked_for_are_taken_without_a_word(machine: Machine) -> None:
    told = Told()
    stepper = made(Run({"compile": "no"}, machine), told, RecordedCapture())
    assert (stepper.mode, stepper.sampled_every, told) == ("eager", 1, [])


def test_auto_says_why_steps_are_eager_where_there_is_no_graph(machine: Machine) -> None:
    told = Told()
    assert made(Run({}, machine), told).mode == "eager"
    assert told == [
        (
            "step-mode",
            "info",
            "steps are launched one operation after the other (eager): a CUDA graph needs a CUDA device",
        )
    ]


@pytest.mark.parametrize("compile", ["auto", "graph"])
def test_a_graph_is_taken_where_one_can_be_made(machine: Machine, compile: str) -> None:
    told = Told()
    run = Run({"compile": compile}, machine)
    stepper = made(run, told, RecordedCapture())
    assert isinstance(stepper, GraphStepper)
    assert stepper.mode == "graph"
    assert stepper.warm_up_seconds > 0
    assert told == [("step-mode", "info", "steps are replayed as a CUDA graph")]


def test_a_graph_that_is_asked_for_on_a_cpu_is_refused(machine: Machine) -> None:
    run = Run({"compile": "graph"}, machine)
    with pytest.raises(ConfigError, match="--compile: graph is not possible: a CUDA graph needs a CUDA device; give"):
        made(run, Told())
    with pytest.raises(ConfigError, match="a CUDA graph needs a CUDA device"):
        check_mode(run.config, machine)
    check_mode(dataclasses.replace(run.config, compile="auto"), machine)


def with_dropout(run: Run) -> Run:
    """The same, with a network that draws random numbers."""
    run.state.model.head.insert(1, nn.Dropout(0.5))
    return run


def test_a_network_that_draws_random_numbers_is_not_captured(machine: Machine) -> None:
    told = Told()
    assert made(with_dropout(Run({}, machine)), told, RecordedCapture()).mode == "eager"
    assert "head.1 (Dropout) draws random numbers" in told[0][2]
    with pytest.raises(ConfigError, match="draws random numbers, which a graph would not draw from the run's seed"):
        made(with_dropout(Run({"compile": "graph"}, machine)), told, RecordedCapture())
    harmless = Run({}, machine)
    harmless.state.model.head.insert(1, nn.Dropout(0.0))
    assert made(harmless, told, RecordedCapture()).mode == "graph"


class Broken(RecordedCapture):
    """Captures that fail, or that replay something else."""

    def __init__(self, how: str) -> None:
        self.how = how

    def capture(self, work: Work) -> Work:
        if self.how == "raises":
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        if self.how == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if self.how == "another type":  # as Triton's CompilationError
            raise LookupError("no kernel")
        return lambda: None


def state_of(run: Run) -> dict[str, Tensor]:
    """Copies of the weights and statistics."""
    return {name: value.clone() for name, value in run.state.model.state_dict().items()}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("raises", "RuntimeError, operation not permitted when stream is capturing$"),
        ("memory", "too little memory for a graph beside the eager steps"),
        ("another type", "LookupError, no kernel$"),
        ("does nothing", "a step that is replayed is not the eager one, its loss is 0, and"),
    ],
)
def test_auto_goes_back_to_eager_steps_with_a_warning_where_a_graph_fails(
    machine: Machine, how: str, words: str
) -> None:
    told, eager, run = Told(), Run({}, machine), Run({}, machine)
    run.stepper = made(run, told, Broken(how))
    assert run.stepper.mode == "eager"
    ((kind, level, message),) = told
    assert (kind, level) == ("step-mode", "warning")
    assert re.search(words, message)
    expected, found = eager.go_on(5), run.go_on(5)
    assert all(map(torch.equal, expected, found))
    assert differing(eager.state.payload(), run.state.payload()) == []
    assert not isinstance(run.state.optimizer.param_groups[0]["lr"], Tensor)


def test_a_graph_that_is_asked_for_and_fails_is_refused(machine: Machine) -> None:
    for how in ("raises", "does nothing"):
        run = Run({"compile": "graph"}, machine)
        before = state_of(run)
        with pytest.raises(ConfigError, match=r"graph is not possible: .*; give --compile auto, or no"):
            made(run, Told(), Broken(how))
        assert all(torch.equal(value, before[name]) for name, value in run.state.model.state_dict().items())
    with pytest.raises(torch.OutOfMemoryError):
        made(Run({"compile": "graph"}, machine), Told(), Broken("memory"))


@pytest.mark.parametrize("how", ["", "raises"])
def test_a_trial_leaves_the_learning_rate_that_a_checkpoint_holds(machine: Machine, how: str) -> None:
    """A run that is resumed and paused before its first step stores what it was resumed from."""
    first = Run({}, machine)
    first.go_on(3)
    payload = first.state.payload()
    again = Run({}, machine, payload=payload)
    assert made(again, Told(), Broken(how) if how else RecordedCapture()).mode == ("eager" if how else "graph")
    assert differing(payload, again.state.payload()) == []
    (group,) = again.state.optimizer.param_groups
    assert float(group["lr"]) == pytest.approx(payload["optimizer"]["param_groups"][0]["lr"])
    assert float(group["lr"]) != pytest.approx(again.config.learning_rate)


class Deaf(RecordedCapture):
    """Replays a graph that kept the learning rate as it was when it was captured."""

    def capture(self, work: Work) -> Work:
        replay = super().capture(work)

        def stale() -> None:
            (group,) = self.optimizer.param_groups
            now = group["lr"].clone()
            group["lr"].fill_(self.rate)
            replay()
            group["lr"].copy_(now)

        return stale

    def __init__(self, optimizer: torch.optim.Optimizer, rate: float) -> None:
        self.optimizer, self.rate = optimizer, rate


def test_a_replay_at_another_rate_is_found_out(machine: Machine) -> None:
    """Loss and norm are the same, and only what the weights move by tells."""
    for optimizer in ("adamw", "sgd"):
        run = Run({"compile": "graph", "optimizer": optimizer}, machine)
        with pytest.raises(ConfigError, match=r"what it moves the weights by is (\d+) % off"):
            made(run, Told(), Deaf(run.state.optimizer, 0.001))
        right = Run({"compile": "graph", "optimizer": optimizer}, machine)
        assert made(right, Told(), Deaf(right.state.optimizer, 0.01)).mode == "graph"


def test_a_missing_compiler_is_told_before_anything_is_loaded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    config = Run({"compile": "yes"}, machine).config
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ConfigError, match=r"--compile: yes needs a compiler, and g\+\+ is not there; install one"):
        check_mode(config, machine)
    monkeypatch.setenv("CXX", "/nowhere/c++")
    with pytest.raises(ConfigError, match="CXX names /nowhere/c"):
        check_mode(config, machine)
    check_mode(dataclasses.replace(config, compile="no"), machine)


def test_the_way_steps_are_run_is_part_of_what_the_bits_rest_on(machine: Machine) -> None:
    before, now = (fingerprint(machine, step_mode=mode) for mode in ("eager", "graph"))
    assert differences(before, now) == ["step mode eager → graph"]
    assert "step_mode" not in fingerprint(machine)


def test_what_is_chosen_is_told_once_in_a_run(store: RunStore, runs: Path, machine: Machine) -> None:
    job = make_job(store, runs, None)
    for _ in range(2):
        run = Run({}, machine)
        assert _ready_stepper(job, run.config, machine, run.loader, run.state).mode == "eager"
    events = [event for event in store.events(run_id=job.run.id) if event.kind == "step-mode"]
    assert [(event.level, event.message) for event in events] == [
        ("info", "steps are launched one operation after the other (eager): a CUDA graph needs a CUDA device")
    ]


def test_a_capture_that_runs_out_of_memory_is_told_like_a_step_that_does(
    store: RunStore, runs: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, run = make_job(store, runs, None), Run({"compile": "graph", "batch_size": 8, "drop_last": True}, machine)

    def with_broken_capture(*arguments: Any) -> Stepper:
        return make_stepper(*arguments, capture=Broken("memory"))

    monkeypatch.setattr("trainer.pretrain.make_stepper", with_broken_capture)
    with pytest.raises(TrainerError, match=r"--batch-size: a step of 8 images .* needs more memory than there is"):
        _ready_stepper(job, run.config, machine, run.loader, run.state)


@pytest.mark.reliability
def test_compiled_steps_are_close_to_eager_ones_and_move_the_same_weights(machine: Machine) -> None:
    """Where inductor rounds at other places, bits are not those of eager steps."""
    told, eager, run = Told(), Run({}, machine), Run({"compile": "yes"}, machine)
    run.stepper = made(run, told)
    assert isinstance(run.stepper, EagerStepper)
    assert run.stepper.mode == "compiled"
    assert told == [
        ("step-mode", "info", "steps are compiled by inductor; not as a graph: a CUDA graph needs a CUDA device")
    ]
    expected, found = eager.go_on(5), run.go_on(5)  # the fifth is short
    losses, others = (torch.stack(figures)[:, 0] for figures in (expected, found))
    torch.testing.assert_close(losses, others, rtol=1e-2, atol=1e-3)
    assert losses[0] - losses[-1] > 0.5
