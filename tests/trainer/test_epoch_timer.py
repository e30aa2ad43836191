"""The stopwatch with a device of its own, which works in the time that a test says."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from trainer import epoch_timer
from trainer.anatomy import EpochSums
from trainer.device import prepare
from trainer.epoch_timer import EpochTimer
from trainer.parts import CHECKPOINT, EVALUATION, FORWARD, LOGGING, START, WAIT
from trainer.timing import Anchor, DeviceClock, Span


class LateDevice:
    """Queues marks and passes them when its work is said to be done; its clock began at another moment."""

    OFFSET = 1000.0

    def __init__(self) -> None:
        self.anchor = Anchor(0.0, 0.0)
        self.marks = 0
        self.passed = -1.0
        self.released: list[float] = []
        self.waits = 0
        self.queue: list[float] = []
        """Times of the device at which it comes to the marks that are still to be made."""

    def mark(self) -> float:
        self.marks += 1
        return self.queue.pop(0)

    def begin(self) -> Span:
        return Span(self.mark())

    def end(self, span: Span) -> None:
        span.end = self.mark()

    def between(self, begin: float, end: float) -> float:
        assert end <= self.passed, "read before the device has come by"
        return end - begin

    def has_passed(self, mark: float) -> bool:
        return mark <= self.passed

    def wait_for(self, mark: float) -> None:
        self.waits += 1
        self.passed = max(self.passed, mark)

    def on_host(self, mark: float, anchor: Anchor) -> float:
        return anchor.host_seconds + self.between(anchor.mark, mark)

    def set_anchor(self, *, wait: bool = False) -> None:
        self.anchor = Anchor(self.passed, self.passed - self.OFFSET)

    def release(self, marks: Any) -> None:
        self.released += list(marks)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The host's clock, which a test sets."""
    host = SimpleNamespace(now=0.0)
    monkeypatch.setattr(epoch_timer, "time", SimpleNamespace(perf_counter=lambda: host.now))
    return host


def test_steps_are_read_only_when_the_device_has_come_by(clock: SimpleNamespace) -> None:
    device, sums = LateDevice(), EpochSums()
    device.anchor = Anchor(1000.0, 0.0)
    timer = EpochTimer(device, sums)  # type: ignore[arg-type]
    # The host launches two steps within a second; the device is at the first one from 2 to 5, the second from 6 to 9.
    device.queue = [1002.0, 1003.0, 1004.0, 1005.0, 1006.0, 1006.0, 1009.0, 1009.0]
    for _ in range(2):
        with timer.host(WAIT):
            clock.now += 0.5
        timer.begin_step()
        with timer.part(FORWARD):
            pass
        timer.end_step()
    timer.fold()
    assert (sums.steps, device.waits) == (0, 0), "nothing is known yet, and nothing waited for"
    device.passed = 1005.0
    timer.fold()
    assert (sums.steps, sums.dissected[FORWARD], device.waits) == (1, 1.0, 0)
    assert device.released == [1003.0, 1004.0]
    timer.settle(10.0)
    assert (sums.steps, sums.dissected[FORWARD], device.waits) == (2, 4.0, 1)
    assert sums.host[WAIT] == 1.0, "the host waited before the device began"
    assert (sums.step_seconds, sums.idle_seconds) == (6.0, 1.0)


def test_clocks_are_brought_together_anew_where_a_step_finds_the_device_idle(clock: SimpleNamespace) -> None:
    """At a look once a second the step that was just launched is under way; a loader that is slow comes after it."""
    device, sums = LateDevice(), EpochSums()
    timer = EpochTimer(device, sums)  # type: ignore[arg-type]
    device.queue = [1001.0, 1002.0, 1003.0, 1004.0, 1005.0, 1006.0, 1007.0, 1008.0]
    device.anchor = first = Anchor(1000.0, 0.0)
    timer.begin_step()
    timer.end_step()
    timer.fold()
    timer.begin_step()
    timer.end_step()
    assert device.anchor is first, "it is still at the first step"
    device.passed = 1004.0
    timer.begin_step()
    timer.end_step()
    assert device.anchor == Anchor(1004.0, 4.0)
    device.passed = 1006.0
    timer.begin_step()
    timer.end_step()
    assert device.anchor == Anchor(1004.0, 4.0), "once for each look"
    timer.settle(10.0)
    assert (sums.steps, sums.step_seconds) == (4, 4.0)


def test_what_the_host_is_still_at_counts_between_two_steps(clock: SimpleNamespace) -> None:
    device, sums = LateDevice(), EpochSums()
    device.anchor = Anchor(0.0, 0.0)
    timer = EpochTimer(device, sums)  # type: ignore[arg-type]
    device.queue = [1.0, 2.0, 4.0, 5.0]
    for _ in range(2):
        timer.begin_step()
        timer.end_step()
    with timer.host(LOGGING):  # it waits for the figures of both steps
        clock.now, device.passed = 5.0, 5.0
        timer.fold()
        clock.now = 6.0
    timer.settle(6.0)
    assert sums.host[LOGGING] == 1.0 + 2.0 + 1.0, "before, between and after the steps"
    assert sums.idle_seconds == 2.0


def test_a_span_within_a_span_interrupts_it_and_an_open_one_is_cut_at_the_end_of_an_epoch(
    clock: SimpleNamespace,
) -> None:
    sums = EpochSums()
    timer = EpochTimer(LateDevice(), sums)  # type: ignore[arg-type]
    with timer.host(LOGGING):
        clock.now = 1.0
        with timer.host(EVALUATION):
            clock.now = 3.0
        clock.now = 3.5
        timer.end_epoch(3.5)
        assert (sums.host[LOGGING], sums.host[EVALUATION]) == (1.5, 2.0)
        sums.clear()
        clock.now = 4.0
        with timer.host(CHECKPOINT):
            clock.now = 6.0
            timer.settle(6.0)
            assert sums.host[CHECKPOINT] == 2.0, "what a checkpoint knows of itself"
            clock.now = 7.0
        clock.now = 7.25
    timer.settle(7.25)
    assert (sums.host[LOGGING], sums.host[CHECKPOINT]) == (0.75, 3.0)


def test_a_span_may_turn_out_to_have_been_another_part(clock: SimpleNamespace) -> None:
    sums = EpochSums()
    timer = EpochTimer(LateDevice(), sums)  # type: ignore[arg-type]
    with timer.host(WAIT):
        clock.now = 2.0
        timer.rename(START)
    timer.settle(2.0)
    assert (sums.host[WAIT], sums.host[START]) == (0.0, 2.0)


def test_a_part_outside_of_a_step_is_nobodys() -> None:
    device, sums = LateDevice(), EpochSums()
    with EpochTimer(device, sums).part(FORWARD):  # type: ignore[arg-type]
        pass
    assert device.marks == 0


def test_what_was_begun_and_never_ended_leaves_no_trace() -> None:
    device, sums = LateDevice(), EpochSums()
    device.anchor = Anchor(0.0, 0.0)
    timer = EpochTimer(device, sums)  # type: ignore[arg-type]
    device.queue = [1.0, 2.0, 3.0]
    timer.begin_step()  # it ran out of memory
    timer.begin_step()
    timer.end_step()
    timer.settle(4.0)
    assert (sums.steps, sums.step_seconds) == (1, 1.0)


def test_on_a_cpu_the_walls_clock_is_the_devices() -> None:
    sums = EpochSums()
    timer = EpochTimer(DeviceClock(prepare(device="cpu", threads=0)), sums)
    timer.begin()
    begun = time.perf_counter()
    span = timer.begin_step()
    with timer.part(FORWARD):
        time.sleep(0.02)
    timer.end_step()
    timer.settle(time.perf_counter())
    assert begun <= span.begin < span.end
    assert 0.02 <= sums.dissected[FORWARD] <= sums.step_seconds == span.end - span.begin
