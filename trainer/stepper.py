"""How a step is run: each operation launched by the host, the whole step replayed as one CUDA graph, or compiled."""

import time
from typing import Protocol

import torch
from torch import Tensor, nn

from trainer.capture import Capture, CudaCapture
from trainer.compiled import check_compiler, compile_functions
from trainer.config import PretrainConfig
from trainer.device import Machine, let_go
from trainer.errors import ConfigError, TrainerError
from trainer.feed import ViewsFeed, make_feed
from trainer.graph import SAMPLED_EVERY, GraphStepper
from trainer.loader import Batch, ViewLoader
from trainer.optim import make_plain, set_learning_rate
from trainer.parts import OPTIMISER, Part, unmeasured
from trainer.schedule import highest_rate
from trainer.step import Functions, TrainState, begin_step, update
from trainer.step_check import COMPILED as COMPILED_TOLERANCE
from trainer.step_check import difference

EAGER, GRAPH, COMPILED = "eager", "graph", "compiled"
"""How steps are run."""


class Stepper(Protocol):
    """Takes the steps of a run."""

    @property
    def mode(self) -> str:
        """How: eager, graph or compiled."""
        ...

    @property
    def sampled_every(self) -> int:
        """Every so many steps, by their number in the run, one enters the parts that it is timed by; the others enter
        none. 1 where all do."""
        ...

    @property
    def warm_up_seconds(self) -> float:
        """What compiling and capturing took before the first step."""
        ...

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """Make the views of a batch and take one step on them.

        The caller counts `state.step` up afterwards.

        Args:
            batch: of the loader.
            lr: learning rate of this step.
            part: times the parts of the step.

        Returns:
            What `train_step` returns: float32 (5,) on the device. It may be a row of a ring of
            `trainer.ring.RING_STEPS` rows, to be read before that many steps more are taken.
        """
        ...


class EagerStepper:
    """Launches each operation of a step from the host."""

    sampled_every = 1

    def __init__(
        self,
        state: TrainState,
        loader: ViewLoader,
        config: PretrainConfig,
        machine: Machine,
        functions: Functions | None = None,
        warm_up_seconds: float = 0.0,
    ) -> None:
        """Args: what is trained, on which batches, by which settings, on which device, what a step of a whole batch
        calls if it is compiled, and what compiling it took."""
        self.mode = EAGER if functions is None else COMPILED
        self.warm_up_seconds = warm_up_seconds
        self._state = state
        self._loader = loader
        self._config = config
        self._machine = machine
        self._functions = functions

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """As in `Stepper`."""
        with part(OPTIMISER):
            begin_step(self._state, lr, self._config)
        views = self._loader.views(batch, part)
        # A short last batch goes as it is written: a compiled function would be compiled again for its shape.
        is_whole = len(views) == self._config.views * self._config.batch_size
        functions = self._functions if is_whole else None
        return update(self._state, views, self._config, self._machine, batch.labels, functions, part=part)


class Tell(Protocol):
    """Where what is found out goes: an event of the run."""

    def __call__(self, kind: str, message: str, *, level: str = "info") -> None:
        """Record it."""
        ...


def check_mode(config: PretrainConfig, machine: Machine) -> None:
    """Refuse what is known to be impossible before anything is loaded.

    Raises:
        ConfigError: a graph is asked for on a device that has none, or there is no compiler.
    """
    if config.compile == "graph" and not machine.is_cuda:
        raise ConfigError("compile", f"graph is not possible: {_NO_CUDA}; give --compile auto, or no")
    check_compiler(config, machine)


def make_stepper(
    state: TrainState,
    loader: ViewLoader,
    config: PretrainConfig,
    machine: Machine,
    tell: Tell,
    *,
    capture: Capture | None = None,
) -> Stepper:
    """Choose how steps are run, and get it ready: compile, capture, and hold a step against an eager one.

    Weights, moments and statistics are left as they are.

    Args:
        state: what is trained, restored already: what is loaded into it later must be loaded in place.
        loader: of the batches.
        config: the settings.
        machine: the device.
        tell: hears what `auto` chose and why.
        capture: how a graph is made; by default CUDA's, where the device is one.

    Raises:
        ConfigError: what is asked for is not possible, or takes other steps than the eager ones.
        OutOfMemoryError: (of torch) a step that is asked for as a graph, or compiled, does not fit.
    """
    if config.compile == "no":
        return EagerStepper(state, loader, config, machine)
    check_compiler(config, machine)
    if capture is None and machine.is_cuda:
        capture = CudaCapture(machine.device)
    obstacle = _NO_CUDA if capture is None else _obstacle(state.model)
    if config.compile == "graph" and obstacle:
        raise ConfigError("compile", f"graph is not possible: {obstacle}; give --compile auto, or no")
    rate = state.lr
    made, wrong = _attempted(state, loader, config, machine, None if obstacle else capture)
    wrong = wrong or ("" if made else obstacle)
    if made is not None and not wrong:
        _set_rate(state, rate)
        tell("step-mode", f"steps are {_WORDS[made.mode]}" + (f"; not as a graph: {obstacle}" if obstacle else ""))
        return made
    if config.compile != "auto":
        raise ConfigError("compile", f"{config.compile} is not possible: {wrong}; give --compile auto, or no")
    del made
    make_plain(state.optimizer)
    _set_rate(state, rate)
    if not obstacle:  # nothing was tried otherwise, and collecting garbage takes longer than an eager step
        _forget(state, machine)
    level = "info" if wrong == obstacle else "warning"
    tell("step-mode", f"steps are {_WORDS[EAGER]}: {wrong}", level=level)
    return EagerStepper(state, loader, config, machine)


def _attempted(
    state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine, capture: Capture | None
) -> tuple[Stepper | None, str]:
    """The stepper that is not eager, where one is to be had, and what is wrong with it or kept it from being made.

    Raises:
        OutOfMemoryError: (of torch) unless eager steps will do.
    """
    try:
        if capture is not None:
            return _graph(state, loader, config, machine, capture)
        return _compiled(state, loader, config, machine) if config.compile == "yes" else (None, "")
    except torch.OutOfMemoryError:
        if config.compile != "auto":
            raise
        return None, "there is too little memory for a graph beside the eager steps"
    except TrainerError:
        raise
    except Exception as error:  # of CUDA, inductor or Triton, which have no type in common; eager steps may do
        return None, f"{type(error).__name__}, {str(error).strip().partition(chr(10))[0]}"


_NO_CUDA = "a CUDA graph needs a CUDA device"
_WORDS = {
    EAGER: "launched one operation after the other (eager)",
    GRAPH: "replayed as a CUDA graph",
    COMPILED: "compiled by inductor",
}


def _obstacle(model: nn.Module) -> str:
    """Why a model's step can't be captured, in words; empty where it can.

    A graph would go on in one sequence of random numbers, where the run asks for numbers that are a function of the
    step (docs.pytorch.org, notes/cuda; CUDAGeneratorImpl.h).
    """
    for name, module in model.named_modules():
        kind = type(module).__name__
        chances = [getattr(module, field, 0) for field in ("p", "drop_prob", "prob")]
        is_random = "Drop" in kind or "StochasticDepth" in kind
        if is_random and module.training and any(isinstance(chance, float) and chance > 0 for chance in chances):
            return f"{name} ({kind}) draws random numbers, which a graph would not draw from the run's seed"
    return ""


def _graph(
    state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine, capture: Capture
) -> tuple[GraphStepper, str]:
    """The stepper, and what is wrong with it; empty where nothing is."""
    functions = compile_functions(state, config, machine) if config.compile == "yes" else None
    feed = make_feed(loader, config, machine, epoch=state.closed_epochs + 1)
    stepper = GraphStepper(state, feed, config, machine, capture, functions)
    stepper.sampled_every = min(SAMPLED_EVERY, max(1, loader.steps_per_epoch()))  # each epoch has one
    wrong = stepper.wrong()
    return stepper, f"a step that is replayed is not the eager one, {wrong}" if wrong else ""


def _compiled(
    state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine
) -> tuple[EagerStepper, str]:
    """The stepper without a graph, and what is wrong with it; empty where nothing is."""
    began = time.perf_counter()
    functions = compile_functions(state, config, machine)
    feed = ViewsFeed(loader, config, machine)
    feed.rehearse()
    begin_step(state, highest_rate(config), config)
    wrong = difference(
        state,
        [],
        lambda: update(state, feed.views(), config, machine, feed.labels),
        lambda: update(state, feed.views(), config, machine, feed.labels, functions),
        COMPILED_TOLERANCE,
    )
    stepper = EagerStepper(state, loader, config, machine, functions, time.perf_counter() - began)
    return stepper, f"a compiled step is not the eager one, {wrong}" if wrong else ""


def _set_rate(state: TrainState, rate: float) -> None:
    """Take back the learning rate of a trial, which a checkpoint before the first step would hold."""
    state.lr = rate
    set_learning_rate(state.optimizer, rate)


def _forget(state: TrainState, machine: Machine) -> None:
    """Give back what a failed attempt took."""
    state.optimizer.zero_grad(set_to_none=True)
    let_go(machine)
