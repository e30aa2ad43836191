"""What can't fit is told before it is tried: the bytes that a trial needs against the bytes that there are."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.config import PretrainConfig

_SPARE = 0.05
"""Part of a device's memory that is left for the allocator's gaps and for the libraries' workspaces."""
_KIB = 1024
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Memory that there is; None where it is not known, which refuses nothing."""

    device_free_bytes: int | None = None
    """Of the training device; on a CPU the same as the host's."""
    device_total_bytes: int | None = None
    host_free_bytes: int | None = None
    shm_free_bytes: int | None = None
    """Of /dev/shm, where workers hand batches over and the cache in RAM lies if there are workers."""
    split_bytes: int | None = None
    """The training split as uint8, (N, 3, S, S)."""
    image_bytes: int | None = None
    """One decoded image as uint8."""


def why_not(config: PretrainConfig, room: Room, steps: Mapping[int, int] | None = None) -> str | None:
    """Why a trial can't fit, in a sentence that names the setting; None where it may.

    Args:
        config: settings of the trial.
        room: memory that there is.
        steps: peak bytes on the device of a step, by batch size, as measured with the same network and without the
            split on the device.
    """
    step = step_bytes(config.batch_size, steps or {})
    return (
        _step_fits(config.batch_size, step, room)
        or _device_cache_fits(config, step or 0, room)
        or _host_cache_fits(config, room)
        or _batches_fit(config, room)
    )


def step_bytes(batch_size: int, steps: Mapping[int, int]) -> int | None:
    """What a step of a batch needs, along the line through the two batches measured that are nearest to it.

    Args:
        batch_size: images.
        steps: peak bytes by batch size; the peak of a batch that was measured is taken as it is.

    Returns:
        None where fewer than two batches were measured, for then nobody knows how much of it is the network.
    """
    if batch_size in steps:
        return steps[batch_size]
    if len(steps) < 2:
        return None
    first, second = sorted(sorted(steps, key=lambda size: abs(size - batch_size))[:2])
    slope = (steps[second] - steps[first]) / (second - first)
    return max(0, round(steps[first] + slope * (batch_size - first)))


def batch_bytes(config: PretrainConfig, image_bytes: int) -> int:
    """What one batch takes in /dev/shm: the images as uint8, or the finished float32 views where workers augment.

    Args:
        config: settings of the trial.
        image_bytes: one decoded image as uint8.
    """
    if config.augment == "torchvision":
        return config.batch_size * config.views * 3 * config.image_size**2 * _FLOAT_BYTES
    return config.batch_size * image_bytes


def of_free(needed: int, free: int) -> str:
    """Bytes in words: `2.8 of 61 GiB`, with the unit of the smaller where it is far smaller: `28 MiB of 61 GiB`."""
    first, second = binary(needed), binary(free)
    if first.rpartition(" ")[2] == second.rpartition(" ")[2]:
        first = first.rpartition(" ")[0]
    return f"{first} of {second}"


def binary(count: int) -> str:
    """Bytes in the unit that fits, with one decimal below 10: `2.8 GiB`, `61 GiB`."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        value = count / _KIB**power
        if value >= 1 or unit == "KiB":
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def _step_fits(batch_size: int, step: int | None, room: Room) -> str | None:
    total = room.device_total_bytes
    if step is None or total is None or step <= (1 - _SPARE) * total:
        return None
    return (
        f"--batch-size: {batch_size} would need about {binary(step)} on the device, which has {binary(total)}; make it "
        "smaller"
    )


def _device_cache_fits(config: PretrainConfig, step: int, room: Room) -> str | None:
    split, free = room.split_bytes, room.device_free_bytes
    if config.cache != "vram" or split is None or free is None or split + step <= (1 - _SPARE) * free:
        return None
    beside = f" beside the {binary(step)} of a step" if step else ""
    return (
        f"--cache: vram needs {binary(split)} on the device{beside}, and {binary(free)} are free; choose ram, or "
        "--limit-images"
    )


def _host_cache_fits(config: PretrainConfig, room: Room) -> str | None:
    split = room.split_bytes
    if config.cache != "ram" or split is None:
        return None
    if room.host_free_bytes is not None and split > room.host_free_bytes:
        return f"--cache: ram needs {binary(split)}, and {binary(room.host_free_bytes)} are free; choose none"
    if config.num_workers and room.shm_free_bytes is not None and split > room.shm_free_bytes:
        return (
            f"--cache: ram needs {binary(split)} of /dev/shm, where {binary(room.shm_free_bytes)} are free; choose "
            "none or --num-workers 0, or make /dev/shm larger"
        )
    return None


def _batches_fit(config: PretrainConfig, room: Room) -> str | None:
    """Whether the batches that workers load ahead go into /dev/shm, beside a cache that lies there too."""
    if config.cache == "vram" or not config.num_workers or room.shm_free_bytes is None or room.image_bytes is None:
        return None
    cached = room.split_bytes or 0 if config.cache == "ram" else 0
    ahead = config.num_workers * config.prefetch_factor
    needed = (ahead + 1) * batch_bytes(config, room.image_bytes)  # and the one that is trained on
    if needed + cached <= room.shm_free_bytes:
        return None
    return (
        f"--num-workers: {config.num_workers} that load {config.prefetch_factor} batches ahead each need "
        f"{binary(needed)} of /dev/shm, where {binary(max(0, room.shm_free_bytes - cached))} are free; take fewer "
        "workers, or make /dev/shm larger"
    )
