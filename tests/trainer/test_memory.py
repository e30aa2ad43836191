"""Too little memory: what counts as it, what is kept of the failed step, and the search for a batch that fits."""

import gc
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import PretrainConfig
from trainer.device import Machine, prepare
from trainer.memory import (
    _BEYOND_KEPT,
    _LIBRARIES_BYTES,
    _estimate,
    _kept_bytes,
    attempt,
    is_out_of_memory,
    largest_below,
    usage,
)
from trainer.step import new_state


@pytest.fixture(scope="module")
def machine() -> Machine:
    """A CPU with one thread."""
    return prepare(device="cpu", threads=1)


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("can't allocate memory"), False),
    ],
)
def test_torch_tells_of_too_little_memory_in_several_ways(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one


class Held:
    """Something that a failed step had made."""


def test_nothing_of_the_failed_step_is_held_once_it_is_told(machine: Machine) -> None:
    made: list[Any] = []

    def work() -> None:
        held = Held()
        made.append(weakref.ref(held))
        torch.empty(2**50)

    gc.disable()
    try:
        found = attempt(work, machine)
        assert made[0]() is None
    finally:
        gc.enable()
    assert found is not None
    assert 0 < found.now <= found.peak
    assert attempt(lambda: None, machine) is None
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: [1 // 0].clear(), machine)


def test_an_error_that_is_kept_would_hold_the_step(machine: Machine) -> None:
    """The negative control: handling it inside the except block."""
    made: list[Any] = []

    def work() -> None:
        held = Held()
        made.append(weakref.ref(held))
        torch.empty(2**50)

    try:
        work()
    except RuntimeError:
        assert made[0]() is not None


def test_the_limit_is_the_nearest_of_machine_group_and_process(machine: Machine) -> None:
    found = usage(machine)
    assert found.whose in ("this machine", "this control group", "this process (ulimit -v)")
    assert found.now < found.limit


@given(st.integers(2, 5000), st.integers(0, 6000))
def test_the_search_finds_the_largest_batch_to_one_part_in_thirty_two(batch: int, most: int) -> None:
    tried: list[int] = []

    def fits(size: int) -> bool:
        tried.append(size)
        return size <= most

    found = largest_below(batch, fits)
    best = max((size for size in range(2, batch) if size <= most), default=0)
    assert found <= best
    assert best - found <= max(1, batch // 32) or found == 0
    assert found in {0, *tried}
    assert len(tried) <= 2 * batch.bit_length()


def test_the_estimate_follows_what_a_step_keeps(machine: Machine) -> None:
    """Held against what steps keep that are larger than those that the estimate is made from."""
    config = PretrainConfig(backbone="resnet-narrow", image_size=32, head_width=16, projection_size=8, threads=1)
    state = new_state(config, machine, classes=4, data="")
    kept = {batch: _kept_bytes(batch, config, state) for batch in (24, 48)}
    assert kept[48] == pytest.approx(2 * kept[24], rel=0.05)
    gradients = sum(p.nbytes for p in state.model.parameters())
    for batch, size in kept.items():
        views = 2 * batch * 2 * 3 * 4 * 32**2
        found = _estimate(round(_BEYOND_KEPT * size + views + gradients + _LIBRARIES_BYTES), config, state)
        assert found == pytest.approx(batch, rel=0.05)
    assert _estimate(0, config, state) == 0
