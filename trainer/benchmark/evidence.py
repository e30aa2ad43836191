"""What figures of a benchmark rest on: the machine in a sentence, and the memory that there is."""

import dataclasses
import os
import shutil
from typing import Any

import psutil
import torch

from trainer.benchmark.images import Images
from trainer.config import PretrainConfig
from trainer.data.split import SHARED_MEMORY
from trainer.device import Machine, fingerprint
from trainer.lab.fit import Room
from trainer.memory import usage
from trainer.start import available_cores

_MALLOC = ("LD_PRELOAD", "MALLOC_CONF")
"""Variables that choose another allocator or its settings, beside those that begin with MALLOC_."""


def machine_words(machine: Machine) -> str:
    """Device, driver, versions, cores, threads, clocks and allocator, for whoever compares figures."""
    facts = fingerprint(machine)
    words = [machine.name]
    if machine.is_cuda:
        words += [f"driver {facts['driver']}" if facts["driver"] else "driver not told", f"CUDA {facts['cuda']}"]
        words += _card_words(machine)
    words.append(str(facts["cpu"]))
    words.append(f"{available_cores()} cores, {facts['threads']} threads")
    words.append(f"torch {facts['torch']}, torchvision {facts['torchvision']}, kornia {facts['kornia']}")
    words.append(_malloc_words(machine))
    return "; ".join(words)


def _malloc_words(machine: Machine) -> str:
    names = sorted(name for name in os.environ if name.startswith("MALLOC_") or name in _MALLOC)
    told = [f"{name}={os.environ[name]}" for name in names]
    # trainer.device.prepare tells glibc so, where training is on the CPU.
    usual = "malloc as the system has it" if machine.is_cuda else "malloc keeps freed pages"
    return ", ".join([usual, *told])


def _card_words(machine: Machine) -> list[str]:
    """Power limit and clocks by NVML, those that it tells."""
    import pynvml

    words = []
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(machine.uuid)
    except pynvml.NVMLError:
        return ["power limit and clocks not told"]
    readings: dict[str, Any] = {
        "power limit {} W": lambda: round(pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
        "SM clock {} MHz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "of at most {} MHz": lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "memory clock {} MHz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
    }
    for text, read in readings.items():
        try:
            words.append(text.format(read()))
        except pynvml.NVMLError:  # a card or a virtual machine that does not tell this one
            continue
    return words


def task_words(base: PretrainConfig, images: Images, scale: str) -> str:
    """What is trained, in words: network, side, images and, where there is one, the scale."""
    count = len(images.of(_uncached(base)))
    width = f" × {base.width_multiplier:g}" if base.width_multiplier != 1 else ""
    said = f"{base.backbone}{width} at {base.image_size} px, {count:,} images of {base.dataset}"
    return f"{said}; {scale}" if scale else said


def room(machine: Machine, base: PretrainConfig, images: Images) -> Room:
    """Memory that there is before anything is cached."""
    split = images.of(_uncached(base))
    image_bytes = 3 * base.image_size**2
    here = usage(machine)
    memory = psutil.virtual_memory()
    host_free = memory.available if machine.is_cuda else min(memory.available, here.limit - here.now)
    device_free, device_total = host_free, memory.total
    if machine.is_cuda:
        device_free, device_total = torch.cuda.mem_get_info(machine.device)
    return Room(
        device_free_bytes=device_free,
        device_total_bytes=device_total,
        host_free_bytes=host_free,
        shm_free_bytes=shutil.disk_usage(SHARED_MEMORY).free if SHARED_MEMORY.is_dir() else None,
        split_bytes=len(split) * image_bytes,
        image_bytes=image_bytes,
    )


def _uncached(config: PretrainConfig) -> PretrainConfig:
    return dataclasses.replace(config, cache="none")
