"""Steps that all ranks take together, as the loop of the first rank sees them."""

import time

from torch import Tensor

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.group import Line, Word
from trainer.loader import Batch, ViewLoader
from trainer.parts import OPTIMISER, Part, unmeasured
from trainer.step import Functions, TrainState, begin_step, update
from trainer.stepper import EAGER


class SharedStepper:
    """Takes this rank's part of each step; the first rank calls the others to it."""

    sampled_every = 1

    def __init__(
        self,
        state: TrainState,
        loader: ViewLoader,
        config: PretrainConfig,
        machine: Machine,
        functions: Functions,
        line: Line,
        *,
        mode: str = EAGER,
        warm_up_seconds: float = 0.0,
    ) -> None:
        """Args: what is trained, on this rank's shares of which batches, by which settings, on which device, what a
        step calls, the line to the other ranks, how steps are run, and what getting ready for that took."""
        self.mode = mode
        self.warm_up_seconds = warm_up_seconds
        self._state = state
        self._loader = loader
        self._config = config
        self._machine = machine
        self._functions = functions
        self._line = line

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """As in `trainer.stepper.Stepper`."""
        if self._line.ranks.leads:
            self._line.say(Word.STEP, self._state.step)
        began = time.perf_counter()
        with part(OPTIMISER):
            begin_step(self._state, lr, self._config)
        views = self._loader.views(batch, part)
        figures = update(self._state, views, self._config, self._machine, batch.labels, self._functions, part=part)
        self._line.pace.add_step(time.perf_counter() - began)
        return figures
