"""Which GPU a setting means, and which one is free, asked of NVML before torch is imported.

A name of a device is `cpu`, the UUID of a GPU as NVML has it, or `cuda-N` where NVML can't be asked. NVML starts no
CUDA context and takes milliseconds, so a trainer that waits for its device costs no GPU memory.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.errors import BusyError, ConfigError
from trainer.ranks import Ranks

CPU = "cpu"
NEXT = "next"
"""The setting, and the name of the line, for whichever GPU is free first."""

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpu:
    """A GPU as NVML sees it now."""

    uuid: str
    name: str
    free_bytes: int
    processes: int
    """Processes that compute on it; 0 where NVML does not tell, as in some containers."""


def gpus() -> list[Gpu]:
    """The GPUs that CUDA would show this process, in its order; none where there is no NVML.

    CUDA numbers GPUs by speed unless CUDA_DEVICE_ORDER=PCI_BUS_ID, NVML by bus: the two agree where all GPUs are of
    one model, and torch's own UUID is asked once it is imported.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return visible(list(_read(pynvml)), os.environ.get(VISIBLE_VARIABLE))
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _read(nvml: Any) -> Iterable[Gpu]:
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        try:
            processes = len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        except nvml.NVMLError:
            processes = 0
        yield Gpu(
            uuid=str(nvml.nvmlDeviceGetUUID(handle)),
            name=str(nvml.nvmlDeviceGetName(handle)),
            free_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).free),
            processes=processes,
        )


def visible(every: Sequence[Gpu], listed: str | None) -> list[Gpu]:
    """What CUDA_VISIBLE_DEVICES leaves of a machine's GPUs, in its order. Pure.

    Entries are numbers, UUIDs or unique beginnings of UUIDs; the first one that names no GPU, or one again, ends the
    list (CUDA C Programming Guide, CUDA environment variables). A MIG instance stands for itself.
    """
    if listed is None:
        return list(every)
    found: list[Gpu] = []
    for entry in (word.strip() for word in listed.split(",")):
        gpu = _named(every, entry)
        if gpu is None or any(gpu.uuid == one.uuid for one in found):
            break
        found.append(gpu)
    return found


def _named(every: Sequence[Gpu], entry: str) -> Gpu | None:
    if entry.startswith("MIG-"):
        return Gpu(uuid=entry, name="MIG instance", free_bytes=0, processes=0)
    if entry.isascii() and entry.isdigit():
        return every[int(entry)] if int(entry) < len(every) else None
    matching = [gpu for gpu in every if entry.startswith("GPU-") and gpu.uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def device_name(setting: str, there: Sequence[Gpu]) -> str:
    """The name of the device that the setting `device` means on a machine with these visible GPUs. Pure.

    `next` keeps its name where there are GPUs to choose from.
    """
    if setting == CPU or (setting in ("auto", NEXT) and not there):
        return CPU
    if setting == NEXT:
        return NEXT
    index = int(setting.partition(":")[2] or 0)
    return there[index].uuid if index < len(there) else f"cuda-{index}"


def names_on_this_machine(name: str, there: Sequence[Gpu], ranks: Ranks) -> list[str]:
    """The names of the devices of all ranks on the first one's machine, its own first. Pure.

    Args:
        name: of the first rank's device.
        there: the visible GPUs.
        ranks: the first one's.
    """
    if name == CPU:
        return [name]
    return [name, *(device_name(f"cuda:{place}", there) for place in range(1, ranks.local_world))]


def free_first(there: Sequence[Gpu]) -> list[Gpu]:
    """The GPUs on which nobody computes, the one with the most free memory first. Pure."""
    return sorted((gpu for gpu in there if not gpu.processes), key=lambda gpu: -gpu.free_bytes)


def settle(gpu: Gpu) -> None:
    """Show CUDA that GPU alone. Changes the environment of this process, before torch is imported."""
    os.environ[VISIBLE_VARIABLE] = gpu.uuid


def describe(name: str, there: Sequence[Gpu] = ()) -> str:
    """What people call a device of that name."""
    if name == CPU:
        return "the CPU"
    if name == NEXT:
        return "the next free GPU"
    if name.startswith("cuda-"):
        return f"GPU {name.removeprefix('cuda-')}"
    model = next((gpu.name for gpu in there if gpu.uuid == name), "")
    return f"{model} ({name})" if model else name


def no_gpu_is_free(there: Sequence[Gpu]) -> BusyError:
    """The error of a `next` that does not wait."""
    number = f"all {len(there)} GPUs are" if len(there) > 1 else "the GPU is"
    return BusyError(f"--device next: {number} in use; add --queue to wait for one, or name a device to share it")


def check_next(began_on_cuda: bool, name: str) -> None:
    """See that a run which began on a GPU has GPUs to choose from.

    Raises:
        ConfigError: it has none, and would go on on the CPU unasked.
    """
    if began_on_cuda:
        raise ConfigError("device", f"the GPU that {name} began on is not there; give --device cpu to go on so")
