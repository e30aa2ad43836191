"""Times the parts of an epoch while the loop goes on: of the device by marks that are read late, of the host as spans.

The parts of a step are written down where the step is (trainer.step), and folded into the sums about once a second,
when the device is known to have come by. Nothing here makes it wait but the end of an epoch and a checkpoint.
"""

import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from trainer.anatomy import EpochSums, Timeline
from trainer.timing import Anchor, DeviceClock, Span


@dataclass(slots=True)
class _Step:
    span: Span
    anchor: Anchor
    parts: list[tuple[str, Any, Any]] = field(default_factory=list)
    """Each with its first and its last mark."""


class EpochTimer:
    """The stopwatch of a run's epochs; it adds to the sums that the run's clock keeps."""

    def __init__(self, clock: DeviceClock, sums: EpochSums) -> None:
        """Args: the clock of the device, and what is added to."""
        self._clock = clock
        self._line = Timeline(sums)
        self._stack: list[str] = []
        """Host spans that are open, the innermost last."""
        self._since = 0.0
        """When the innermost one began or went on."""
        self._step: _Step | None = None
        self._waiting: deque[_Step] = deque()
        self._is_anchor_old = False

    def begin(self) -> None:
        """Bring the two clocks together before the first step."""
        self._clock.set_anchor(wait=True)

    def host(self, part: str) -> "_HostSpan":
        """Time what the host does inside the context that is returned; a span within it interrupts it."""
        return _HostSpan(self, part)

    def rename(self, part: str) -> None:
        """Call the innermost span another part from where it last began: only its end has shown what it was."""
        self._stack[-1] = part

    def begin_step(self) -> Span:
        """Begin a step; its parts are those that `part` is called with until its end.

        A device that has done everything is idle here until the host goes on, so that the clocks can be brought
        together anew. Where it never is, no time of the host counts, and none needs to be placed well.
        """
        if self._is_anchor_old and (not self._waiting or self._clock.has_passed(self._waiting[-1].span.end)):
            self._set_anchor()
        self._step = _Step(self._clock.begin(), self._clock.anchor)
        return self._step.span

    def part(self, name: str) -> AbstractContextManager[None]:
        """A `trainer.parts.Part` for the step that is being taken."""
        return nullcontext() if self._step is None else _StepPart(self._clock, self._step, name)

    def end_step(self) -> None:
        """End it."""
        assert self._step is not None
        self._clock.end(self._step.span)
        self._waiting.append(self._step)
        self._step = None

    def fold(self) -> None:
        """Fold the steps that the device has done. Waits for nothing."""
        self._fold(time.perf_counter())

    def _fold(self, now: float) -> None:
        if self._stack:  # what the host did between two of these steps may be going on
            self._cut(now)
        while self._waiting and self._clock.has_passed(self._waiting[0].span.end):
            self._fold_step(self._waiting.popleft())
        self._is_anchor_old = True
        if not self._waiting:
            self._set_anchor()

    def _set_anchor(self) -> None:
        self._clock.set_anchor()
        self._is_anchor_old = False

    def settle(self, now: float) -> None:
        """Fold everything up to now, for which the device must have done every step.

        Args:
            now: what `time.perf_counter` says, and not before the last span.
        """
        if self._waiting:
            self._clock.wait_for(self._waiting[-1].span.end)
        self._fold(now)
        self._line.fold_to(now)

    def end_epoch(self, now: float) -> None:
        """Fold everything; what comes after now belongs to the next epoch."""
        self.settle(now)
        self._line.next_epoch()

    def _fold_step(self, step: _Step) -> None:
        clock = self._clock
        parts = [(name, clock.between(begin, end)) for name, begin, end in step.parts]
        begin, end = (clock.on_host(mark, step.anchor) for mark in (step.span.begin, step.span.end))
        self._line.add_step(begin, end, parts)
        clock.release(mark for _, *marks in step.parts for mark in marks)

    def _enter(self, part: str) -> None:
        now = time.perf_counter()
        if self._stack:
            self._cut(now)
        self._stack.append(part)
        self._since = now

    def _leave(self) -> None:
        self._cut(time.perf_counter())
        self._stack.pop()

    def _cut(self, now: float) -> None:
        """Tell what the innermost span has had so far."""
        self._line.add_span(self._stack[-1], self._since, now)
        self._since = now


class _HostSpan:
    __slots__ = ("_part", "_timer")

    def __init__(self, timer: EpochTimer, part: str) -> None:
        self._timer = timer
        self._part = part

    def __enter__(self) -> None:
        self._timer._enter(self._part)

    def __exit__(self, *_: object) -> None:
        self._timer._leave()


class _StepPart(AbstractContextManager[None]):
    __slots__ = ("_begin", "_clock", "_name", "_step")

    def __init__(self, clock: DeviceClock, step: _Step, name: str) -> None:
        self._clock = clock
        self._step = step
        self._name = name

    def __enter__(self) -> None:
        self._begin = self._clock.mark()

    def __exit__(self, *_: object) -> None:
        self._step.parts.append((self._name, self._begin, self._clock.mark()))
