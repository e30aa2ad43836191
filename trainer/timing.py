"""Seconds of a step on the device that computes it, without making it wait.

On CUDA two events are recorded around the step and read much later, when the metrics are fetched anyway; a host clock
would measure how long it takes to launch kernels (LightlyTrain's batch_timing.py does so too).
On a CPU the wall clock is the device's clock.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from trainer.device import Machine


@dataclass(slots=True)
class Span:
    """A piece of device work that was begun and perhaps ended."""

    begin: Any
    end: Any = None


class Anchor(NamedTuple):
    """A moment that is known on both clocks."""

    mark: Any
    host_seconds: float


class DeviceClock:
    """Marks places in a device's queue of work and reads them once the work before them is done."""

    def __init__(self, machine: Machine) -> None:
        """Args: the device whose work is timed."""
        self._cuda = machine.is_cuda
        self._pool: list[Any] = []
        self.anchor = Anchor(None, 0.0)
        """By which marks that are made from now on are placed on the host's clock."""
        if self._cuda:
            self.set_anchor(wait=True)

    def mark(self) -> Any:
        """Now, at the device's place in its queue."""
        if not self._cuda:
            return time.perf_counter()
        event = self._pool.pop() if self._pool else torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def release(self, marks: Iterable[Any]) -> None:
        """Take back marks that nobody reads any more, since making an event costs more than recording it."""
        if self._cuda:
            self._pool.extend(marks)

    def begin(self) -> Span:
        """Mark the beginning of a span at the device's place in its queue."""
        return Span(self.mark())

    def end(self, span: Span) -> None:
        """Mark its end."""
        span.end = self.mark()

    def seconds(self, span: Span) -> float:
        """Seconds of a span. On CUDA the caller must know its end to be done, or this waits for it."""
        if self._cuda:
            span.end.synchronize()
        return self.between(span.begin, span.end)

    def between(self, begin: Any, end: Any) -> float:
        """Seconds from one mark to another, both of which the device has passed."""
        return float(begin.elapsed_time(end)) / 1000 if self._cuda else float(end - begin)

    def has_passed(self, mark: Any) -> bool:
        """Whether the device has come to a mark. Waits for nothing."""
        return not self._cuda or bool(mark.query())

    def wait_for(self, mark: Any) -> None:
        """Wait until the device has come to a mark."""
        if self._cuda:
            mark.synchronize()

    def set_anchor(self, *, wait: bool = False) -> None:
        """Look at both clocks at once.

        An event on an idle device is passed as it is recorded, to within some microseconds. Anchors are set again and
        again, since the clocks drift apart, and since CUDA tells the time between two events in float32.

        Args:
            wait: for the device to become idle. Otherwise the caller must know that it is.
        """
        if not self._cuda:
            return
        if wait:
            torch.cuda.synchronize()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.anchor = Anchor(event, time.perf_counter())

    def on_host(self, mark: Any, anchor: Anchor) -> float:
        """When the device passed a mark, on the host's clock.

        Args:
            mark: that it has passed.
            anchor: the one that was set when the mark was made.
        """
        return anchor.host_seconds + self.between(anchor.mark, mark) if self._cuda else float(mark)
