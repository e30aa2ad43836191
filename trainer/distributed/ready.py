"""Getting steps ready that all ranks take together, compiled where that is asked for. Every rank calls it at once."""

import time

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.distributed.network import Called, shared_functions
from trainer.distributed.stepper import SharedStepper
from trainer.errors import ConfigError
from trainer.group import Line
from trainer.loader import ViewLoader
from trainer.optim import set_learning_rate
from trainer.ranks import is_lost_rank
from trainer.schedule import highest_rate
from trainer.step import Functions, TrainState, begin_step, update
from trainer.step_check import COMPILED as TOLERANCE
from trainer.step_check import difference
from trainer.stepper import COMPILED, EAGER


def ready_stepper(
    line: Line, state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine
) -> SharedStepper:
    """What takes steps with all ranks; weights, moments and statistics are left as they are.

    Args:
        line: to the other ranks, which call this too.
        state: what is trained, the same on all of them.
        loader: of this rank's shares.
        config: the settings.
        machine: the device.

    Raises:
        ConfigError: steps can't be compiled on this rank.
        TrainerError: compiled ones are not the eager ones; it is raised on all ranks.
    """
    functions = shared_functions(state, machine, line.ranks)
    mode, seconds = EAGER, 0.0
    if config.compile == "yes":
        began = time.perf_counter()
        problem = line.hear_all(_compiled(line, state, functions, config, machine))
        if problem is not None:
            raise problem
        mode, seconds = COMPILED, time.perf_counter() - began
    return SharedStepper(state, loader, config, machine, functions, line, mode=mode, warm_up_seconds=seconds)


def _compiled(
    line: Line, state: TrainState, functions: Functions, config: PretrainConfig, machine: Machine
) -> ConfigError | None:
    """Let the network be called compiled from now on, and hold a step against an eager one; what is wrong with it."""
    network = functions.network
    assert isinstance(network, DistributedDataParallel)
    called = network.module
    assert isinstance(called, Called)
    views, labels = rehearsed(line, config, machine)

    def eager() -> Tensor:
        return update(state, views, config, machine, labels, functions)

    def compiled() -> Tensor:
        called.compile_model()
        return eager()

    rate = state.lr
    begin_step(state, highest_rate(config), config)
    try:
        wrong = difference(state, [], eager, compiled, TOLERANCE)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of inductor or Triton, which have no type in common
        if is_lost_rank(error):
            raise
        # Raised on this rank alone, whose end ends the others: they may be amid a step, and hear nothing.
        raise _not_possible(f"{type(error).__name__}, {str(error).strip().partition(chr(10))[0]}") from error
    state.lr = rate
    set_learning_rate(state.optimizer, rate)
    return _not_possible(f"a compiled step is not the eager one, {wrong}") if wrong else None


def _not_possible(reason: str) -> ConfigError:
    return ConfigError("compile", f"yes is not possible: {reason}; give --compile auto, or no")


def rehearsed(line: Line, config: PretrainConfig, machine: Machine) -> tuple[Tensor, Tensor | None]:
    """Noise in the shape of this rank's views of a batch, with labels where the method takes them."""
    share, side = config.batch_size // line.ranks.world, config.image_size
    generator = torch.Generator().manual_seed(line.ranks.rank)
    views = torch.randn(config.views * share, 3, side, side, generator=generator).to(machine.device)
    labels = torch.zeros(share, dtype=torch.int64, device=machine.device) if config.is_supervised else None
    return views.contiguous(memory_format=machine.memory_format), labels
