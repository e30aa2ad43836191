"""Tests of what is told to not fit before it is tried."""

from dataclasses import replace
from typing import Literal, get_args

import pytest

from trainer.config import PretrainConfig
from trainer.lab.fit import Room, batch_bytes, binary, of_free, step_bytes, why_not

GIB = 2**30
Cache = Literal["none", "ram", "vram"]
BASE = PretrainConfig(num_workers=2, cache="none")
ROOMY = Room(
    device_free_bytes=61 * GIB,
    device_total_bytes=80 * GIB,
    host_free_bytes=100 * GIB,
    shm_free_bytes=50 * GIB,
    split_bytes=3 * GIB,
    image_bytes=3 * 96 * 96,
)


@pytest.mark.parametrize("cache", get_args(Cache))
@pytest.mark.parametrize("workers", [0, 12])
def test_where_there_is_room_everything_may_be_tried(cache: Cache, workers: int) -> None:
    assert why_not(replace(BASE, cache=cache, num_workers=workers), ROOMY, {256: 2 * GIB}) is None


def test_what_is_not_known_refuses_nothing() -> None:
    for config in (replace(BASE, cache="none"), replace(BASE, cache="ram"), replace(BASE, cache="vram")):
        assert why_not(replace(config, batch_size=65_536), Room()) is None


def test_a_split_that_goes_on_the_device_needs_room_beside_the_step() -> None:
    config, room = replace(BASE, cache="vram"), replace(ROOMY, device_free_bytes=4 * GIB)
    assert why_not(config, room) is None
    reason = why_not(config, room, {256: 2 * GIB})
    assert reason is not None
    assert reason.startswith("--cache: vram needs 3.0 GiB on the device beside the 2.0 GiB of a step, and 4.0 GiB are")
    assert why_not(replace(config, cache="none"), room, {256: 2 * GIB}) is None
    assert why_not(config, replace(room, device_free_bytes=int(3.1 * GIB))) is not None  # gaps of the allocator
    assert why_not(config, replace(room, device_free_bytes=int(3.2 * GIB))) is None


def test_a_cache_in_ram_needs_host_memory() -> None:
    reason = why_not(replace(BASE, cache="ram", num_workers=0), replace(ROOMY, host_free_bytes=2 * GIB))
    assert reason is not None
    assert "ram needs 3.0 GiB, and 2.0 GiB are free" in reason
    assert why_not(replace(BASE, cache="ram"), replace(ROOMY, host_free_bytes=3 * GIB)) is None
    assert why_not(replace(BASE, cache="ram"), replace(ROOMY, host_free_bytes=3 * GIB - 1)) is not None


def test_a_cache_in_ram_needs_shared_memory_only_where_there_are_workers() -> None:
    room = replace(ROOMY, shm_free_bytes=GIB)
    reason = why_not(replace(BASE, cache="ram"), room)
    assert reason is not None
    assert "/dev/shm" in reason
    assert why_not(replace(BASE, cache="ram", num_workers=0), room) is None


def test_workers_need_shared_memory_for_what_they_load_ahead() -> None:
    one = batch_bytes(BASE, 3 * 96 * 96)
    room = replace(ROOMY, shm_free_bytes=9 * one)
    assert why_not(replace(BASE, num_workers=4), room) is None
    assert why_not(replace(BASE, num_workers=4), replace(room, shm_free_bytes=9 * one - 1)) is not None
    reason = why_not(replace(BASE, num_workers=5), room)
    assert reason is not None
    assert reason.startswith("--num-workers: 5 that load 2 batches ahead each need")
    assert why_not(replace(BASE, num_workers=4, prefetch_factor=3), room) is not None
    assert why_not(replace(BASE, num_workers=5, cache="vram"), room) is None
    beside_a_cache = replace(room, split_bytes=100 * one, shm_free_bytes=109 * one)
    assert why_not(replace(BASE, num_workers=4, cache="ram"), beside_a_cache) is None
    assert why_not(replace(BASE, num_workers=5, cache="ram"), beside_a_cache) is not None


def test_views_made_by_workers_take_eight_times_the_memory_of_the_images() -> None:
    made = replace(BASE, augment="torchvision")
    assert batch_bytes(made, 3 * 96 * 96) == 8 * batch_bytes(BASE, 3 * 96 * 96)
    assert batch_bytes(replace(made, views=3), 3 * 96 * 96) == 12 * batch_bytes(BASE, 3 * 96 * 96)


def test_the_memory_of_a_larger_batch_lies_on_the_line_through_two_smaller_ones() -> None:
    steps = {batch: 3 * GIB + batch * 7 * 2**20 for batch in (64, 128, 256)}
    assert step_bytes(1024, steps) == 3 * GIB + 1024 * 7 * 2**20
    assert step_bytes(128, steps) == steps[128]


def test_the_line_is_that_through_the_two_batches_that_are_nearest() -> None:
    steps = {8: 1000, 64: 1560, 128: 3480}
    assert step_bytes(256, steps) == 3480 + 128 * 30
    assert step_bytes(4, steps) == 1000 - 4 * 10
    assert step_bytes(2, {64: 100, 128: 10_000}) == 0


def test_one_batch_alone_says_nothing_about_another() -> None:
    assert step_bytes(512, {256: GIB}) is None
    assert step_bytes(512, {}) is None


def test_a_batch_that_the_device_cannot_hold_is_refused() -> None:
    steps = {64: GIB + 64 * 2**27, 128: GIB + 128 * 2**27}
    reason = why_not(replace(BASE, batch_size=1024), ROOMY, steps)
    assert reason is not None
    assert reason.startswith("--batch-size: 1024 would need about 129 GiB on the device, which has 80 GiB")
    assert why_not(replace(BASE, batch_size=512), ROOMY, steps) is None
    assert why_not(replace(BASE, batch_size=1024), replace(ROOMY, device_total_bytes=135 * GIB), steps) is not None
    assert why_not(replace(BASE, batch_size=1024), replace(ROOMY, device_total_bytes=136 * GIB), steps) is None


def test_bytes_are_said_in_units_that_fit() -> None:
    assert binary(int(2.8 * GIB)) == "2.8 GiB"
    assert binary(61 * GIB) == "61 GiB"
    assert binary(int(9.96 * GIB)) == "10 GiB"
    assert binary(28 * 2**20) == "28 MiB"
    assert binary(12) == "0.0 KiB"
    assert of_free(int(2.8 * GIB), 61 * GIB) == "2.8 of 61 GiB"
    assert of_free(28 * 2**20, 61 * GIB) == "28 MiB of 61 GiB"
