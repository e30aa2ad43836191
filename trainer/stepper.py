"""How a step is run: each operation launched by the host, the whole step replayed as one CUDA graph, or compiled."""

from typing import Protocol

from torch import Tensor

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.loader import Batch, ViewLoader
from trainer.parts import Part, unmeasured
from trainer.step import TrainState, train_step


class Stepper(Protocol):
    """Takes the steps of a run."""

    @property
    def mode(self) -> str:
        """How: eager, graph or compiled."""
        ...

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """Make the views of a batch and take one step on them.

        The caller counts `state.step` up afterwards.

        Args:
            batch: of the loader.
            lr: learning rate of this step.
            part: times the parts of the step.

        Returns:
            What `train_step` returns: float32 (5,) on the device.
        """
        ...


class EagerStepper:
    """Launches each operation of a step from the host."""

    mode = "eager"

    def __init__(self, state: TrainState, loader: ViewLoader, config: PretrainConfig, machine: Machine) -> None:
        """Args: what is trained, on which batches, by which settings, on which device."""
        self._state = state
        self._loader = loader
        self._config = config
        self._machine = machine

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """As in `Stepper`."""
        views = self._loader.views(batch, part)
        return train_step(self._state, views, lr, self._config, self._machine, batch.labels, part=part)
