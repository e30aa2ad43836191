"""Seconds of a step on the device that computes it, without making it wait.

On CUDA two events are recorded around the step and read much later, when the metrics are fetched anyway; a host clock
would measure how long it takes to launch kernels (LightlyTrain's batch_timing.py does so too).
On a CPU the wall clock is the device's clock.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch

from trainer.device import Machine


@dataclass(slots=True)
class Span:
    """A piece of device work that was begun and perhaps ended."""

    begin: Any
    end: Any = None


class DeviceClock:
    """Begins and ends spans on a device and reads them once their work is done."""

    def __init__(self, machine: Machine) -> None:
        """Args: the device whose work is timed."""
        self._cuda = machine.is_cuda

    def _now(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def begin(self) -> Span:
        """Mark the beginning of a span at the device's place in its queue."""
        return Span(self._now())

    def end(self, span: Span) -> None:
        """Mark its end."""
        span.end = self._now()

    def seconds(self, span: Span) -> float:
        """Seconds of a span. On CUDA the caller must know its end to be done, or this waits for it."""
        if not self._cuda:
            return float(span.end - span.begin)
        span.end.synchronize()
        return float(span.begin.elapsed_time(span.end)) / 1000
