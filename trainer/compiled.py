"""The network and the loss compiled by inductor, which fuses batch norm, ReLU and addition into one pass."""

import os
import shutil
import warnings

import torch

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.errors import ConfigError
from trainer.objective import objective
from trainer.step import Functions, TrainState


def compile_functions(state: TrainState, config: PretrainConfig, machine: Machine) -> Functions:
    """What a step calls, compiled when it is first called, for one shape of a batch.

    Args:
        state: whose model it is; its weights stay where they are.
        config: the settings.
        machine: the device.

    Raises:
        ConfigError: there is no compiler for it.
    """
    check_compiler(config, machine)
    # Dynamo looks at the gradient of z, which no one asks for; the same warning would stand in each run's log.
    warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
    network = torch.compile(state.model, dynamic=False)
    return Functions(network, torch.compile(objective, dynamic=False))


def check_compiler(config: PretrainConfig, machine: Machine) -> None:
    """Refuse before inductor would, in a traceback.

    Inductor writes C++ for a CPU; on CUDA Triton's launcher is a little program of C.

    Raises:
        ConfigError: it is asked for, and there is no compiler.
    """
    if config.compile != "yes":
        return
    variable, names = ("CC", ("gcc", "clang")) if machine.is_cuda else ("CXX", ("g++",))
    chosen = os.environ.get(variable)
    if not any(shutil.which(name) for name in ([chosen] if chosen else names)):
        missing = f"{variable} names {chosen}, which is not there" if chosen else f"{names[0]} is not there"
        raise ConfigError("compile", f"yes needs a compiler, and {missing}; install one (package g++), or give no")
