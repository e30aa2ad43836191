"""How the first rank begins a run with the others."""

from typing import Any

import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.distributed.ready import ready_stepper
from trainer.distributed.stepper import SharedStepper
from trainer.distributed.told import Start
from trainer.group import Line, Word
from trainer.loader import ViewLoader
from trainer.step import TrainState


def lead(line: Line, state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine) -> SharedStepper:
    """Bring every rank to this one's state, and give what takes steps with all of them.

    Args:
        line: to the other ranks.
        state: what is trained, restored already.
        loader: of this rank's shares.
        config: the settings.
        machine: the device.

    Raises:
        TrainerError: another rank can't take part.
    """
    line.say(Word.BEGIN)
    line.share(Start(config.to_json(), state.data, _on_the_host(state.payload())))
    problem = line.hear_all()
    if problem is not None:
        raise problem
    return ready_stepper(line, state, loader, config, machine)


def _on_the_host(value: Any) -> Any:
    """The same with its tensors in the host's memory."""
    if isinstance(value, Tensor):
        return value.detach().to(torch.device("cpu"))
    if isinstance(value, dict):
        return {key: _on_the_host(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_the_host(inner) for inner in value)
    return value
