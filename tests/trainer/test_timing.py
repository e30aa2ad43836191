"""The device's clock: on a CPU the wall's, on CUDA events against a wall clock that waits, and no hidden waiting."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile, record_function

from trainer import loop, objective
from trainer.device import prepare
from trainer.loss import loss_and_metrics
from trainer.recorder import StepRecord
from trainer.run import main
from trainer.store import RunStore
from trainer.timing import Anchor, DeviceClock

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

OPTIONS = (
    *("--dataset=shapes", "--limit-per-class=120", "--limit-test-per-class=4", "--image-size=64", "--device=cuda"),
    *("--backbone=resnet18", "--batch-size=128", "--epochs=2", "--num-workers=0", "--cache=vram", "--augment=fused"),
    *("--compile=no", "--health-every=0", "--knn-every=0", "--validate-every=0", "--no-evaluate-at-end"),
)
"""9 steps an epoch."""
_WARM = 6
"""Steps after which libraries have chosen their kernels."""
_SYNCHRONISATIONS = {"cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize"}


def test_on_a_cpu_a_mark_is_a_moment_and_has_been_passed() -> None:
    clock = DeviceClock(prepare(device="cpu", threads=0))
    before = time.perf_counter()
    span = clock.begin()
    time.sleep(0.01)
    clock.end(span)
    assert before <= clock.on_host(span.begin, clock.anchor) <= span.end <= time.perf_counter()
    assert clock.seconds(span) == clock.between(span.begin, span.end) >= 0.01
    assert clock.has_passed(span.end)
    clock.wait_for(span.end)
    clock.set_anchor(wait=True)
    clock.release([span.begin])
    assert clock.anchor == Anchor(None, 0.0)


Take = Callable[..., StepRecord]


def train_with(wrap: Callable[[Take], Take], store: RunStore, runs: Path, patch: pytest.MonkeyPatch) -> int:
    """Run with something around each step of the loop; the exit code."""
    patch.setattr(loop, "_take_step", wrap(loop._take_step))
    return main(["--runs-dir", str(runs), "--name=a", *OPTIONS])


def strictly(take: Take) -> Take:
    """Let torch raise where a step makes the host wait."""

    def take_strictly(*args: Any, **kwargs: Any) -> StepRecord:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return take(*args, **kwargs)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return take_strictly


def read_back(patch: pytest.MonkeyPatch) -> None:
    """Make each step wait for its loss, as a `print(loss)` would."""

    def read(*args: Any, **kwargs: Any) -> Any:
        loss, metrics = loss_and_metrics(*args, **kwargs)
        loss.item()
        return loss, metrics

    patch.setattr(objective, "loss_and_metrics", read)


@needs_cuda
@pytest.mark.parametrize("is_control", [False, True])
def test_a_step_makes_the_host_wait_nowhere(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch, is_control: bool
) -> None:
    if is_control:
        read_back(monkeypatch)
    assert train_with(strictly, store, runs, monkeypatch) == (1 if is_control else 0)


@needs_cuda
@pytest.mark.parametrize("is_control", [False, True])
def test_the_profiler_sees_no_synchronisation_in_a_step(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch, is_control: bool
) -> None:
    if is_control:
        read_back(monkeypatch)
    found: list[int] = []

    def profiled(take: Take) -> Take:
        def take_profiled(training: Any, state: Any, *args: Any, **kwargs: Any) -> StepRecord:
            if state.step != _WARM:
                return take(training, state, *args, **kwargs)
            with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
                with record_function("a step of the loop"):
                    record = take(training, state, *args, **kwargs)
                torch.cuda.synchronize()
            events = profiler.events() or []
            (whole,) = (event.time_range for event in events if event.name == "a step of the loop")
            waits = [event.time_range for event in events if event.name in _SYNCHRONISATIONS]
            found.append(sum(whole.start <= wait.start <= whole.end for wait in waits))
            assert waits, "the profiler names the one that was made after the step"
            return record

        return take_profiled

    assert train_with(profiled, store, runs, monkeypatch) == 0
    assert (found[0] > 0) == is_control, found


@needs_cuda
def test_events_agree_with_a_wall_clock_that_waits_for_the_device(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walls, clocks = [], []

    def timed(take: Take) -> Take:
        def take_timed(training: Any, state: Any, *args: Any, **kwargs: Any) -> StepRecord:
            torch.cuda.synchronize()
            begun = time.perf_counter()
            record = take(training, state, *args, **kwargs)
            torch.cuda.synchronize()
            if state.step > _WARM:
                walls.append(time.perf_counter() - begun)
                clocks.append(record.span.begin.elapsed_time(record.span.end) / 1000)
            return record

        return take_timed

    assert train_with(timed, store, runs, monkeypatch) == 0
    assert statistics.median(clocks) == pytest.approx(statistics.median(walls), rel=0.02)


@needs_cuda
def test_the_parts_of_an_epoch_on_cuda_leave_little_unexplained(store: RunStore, runs: Path) -> None:
    assert main(["--runs-dir", str(runs), "--name=a", *OPTIONS]) == 0
    run_id = store.find("a").id
    rows = {row.part: row.seconds for row in store.anatomy(run_id, after=1)}
    t_epoch = store.epochs(run_id)[-1]["t_epoch"]
    assert sum(rows.values()) == pytest.approx(t_epoch)
    assert abs(rows["unexplained"]) < 0.03 * t_epoch
    assert rows["forward"] > 0
