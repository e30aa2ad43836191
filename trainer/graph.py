"""The whole step as one CUDA graph, from the augmentation to the optimiser.

A replay needs nothing of the host but the learning rate, which is a tensor on the device, and a batch in buffers that
stay where they are (trainer.feed). The figures of a step go into a ring. No random number is drawn inside.
"""

import time

import torch
from torch import Tensor

from trainer.capture import Capture, Work
from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.feed import Feed
from trainer.loader import Batch
from trainer.optim import make_capturable
from trainer.parts import AUGMENTATION, OPTIMISER, Part, unmeasured
from trainer.recorder import METRICS
from trainer.ring import RING_STEPS, MetricsRing
from trainer.schedule import highest_rate
from trainer.step import Functions, TrainState, begin_step, update
from trainer.step_check import COMPILED, GRAPH, Rollback, difference

SAMPLED_EVERY = 50
"""Every so many steps, by their number in the run, one is launched operation by operation, so that its parts can be
timed: 2 % of the steps, each slower by its launches (0.2 s of an epoch of 390 steps at most)."""


class GraphStepper:
    """Replays the step; what does not fit the graph, and every SAMPLED_EVERY-th step, is launched.

    The graph has memory of its own for what a step keeps, beside that of the steps that are launched, so that the two
    together take about twice what eager steps take.
    """

    sampled_every = SAMPLED_EVERY

    def __init__(
        self,
        state: TrainState,
        feed: Feed,
        config: PretrainConfig,
        machine: Machine,
        capture: Capture,
        functions: Functions | None = None,
        *,
        ring_steps: int = RING_STEPS,
    ) -> None:
        """Capture a step on a batch that stands for any other. The state and the optimiser's moments are left as they
        were, and the optimiser is made capturable.

        Args:
            state: what is trained, restored already: what is loaded into it later must be loaded in place.
            feed: holds the batch of a step on the device.
            config: the settings.
            machine: the device.
            capture: how a graph is made.
            functions: what a step calls; by default what is written.
            ring_steps: for how many steps the ring has room.
        """
        assert state.guard.is_on_device, "a guard that asks the host can't be captured"
        began = time.perf_counter()
        self.mode = "graph" if functions is None else "compiled"
        self._state = state
        self._feed = feed
        self._config = config
        self._machine = machine
        self._functions = functions
        self._ring = MetricsRing(len(METRICS), machine.device, ring_steps)
        make_capturable(state.optimizer, machine.device)
        self._replay = self._captured(capture)
        self.warm_up_seconds = time.perf_counter() - began
        """What warming up and capturing took."""

    def _captured(self, capture: Capture) -> Work:
        self._feed.rehearse()
        before = Rollback(self._state, self._ring.tensors)
        begin_step(self._state, highest_rate(self._config), self._config)
        try:
            capture.warm_up(self._work)
            before.put_back()
            self._machine.synchronize()
            return capture.capture(self._work)
        finally:
            before.put_back()

    def wrong(self) -> str:
        """How a replay differs from an eager step, in words; empty where it does not. Changes nothing."""
        begin_step(self._state, highest_rate(self._config), self._config)
        self._feed.rehearse()

        def eager() -> Tensor:
            return update(self._state, self._feed.views(), self._config, self._machine, self._feed.labels)

        def replayed() -> Tensor:
            self._replay()
            return self._ring.peek()

        tolerance = GRAPH if self._functions is None else COMPILED
        return difference(self._state, self._ring.tensors, eager, replayed, tolerance)

    def take(self, batch: Batch, lr: float, part: Part = unmeasured) -> Tensor:
        """As in `Stepper`; the row of a ring, to be read before the ring comes round.

        Only the steps that are launched enter parts. Which ones they are is a function of the step's number alone, so
        that a resumed run launches the same ones.
        """
        is_sampled = (self._state.step + 1) % self.sampled_every == 0
        part = part if is_sampled else unmeasured
        with part(OPTIMISER):
            begin_step(self._state, lr, self._config)
        views = self._feed.load(batch, part)
        if views is not None:
            # As it is written: a compiled function would be compiled again for another shape.
            self._ring.write(update(self._state, views, self._config, self._machine, batch.labels, part=part))
        elif is_sampled:
            self._work(part)
        else:
            self._replay()
        return self._ring.latest()

    def _work(self, part: Part = unmeasured) -> None:
        """What is captured: on the batch in the buffers, nothing of the host."""
        with part(AUGMENTATION):
            views = self._feed.views()
        labels = self._feed.labels
        figures = update(self._state, views, self._config, self._machine, labels, self._functions, part=part)
        with torch.no_grad():
            self._ring.write(figures)
