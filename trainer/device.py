"""The device a run trains on, how exact it is there, and what its bits depend on."""

import ctypes
import platform
from dataclasses import dataclass
from typing import Any

import torch

from trainer.errors import ConfigError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The settings of the group Machine, with every `auto` settled."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    """None trains in float32."""
    channels_last: bool
    deterministic: bool

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a CUDA device."""
        return self.device.type == "cuda"

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of images and convolution weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> torch.autocast:
        """The context in which the network runs."""
        enabled = self.autocast_dtype is not None
        return torch.autocast(self.device.type, dtype=self.autocast_dtype or torch.bfloat16, enabled=enabled)

    def synchronize(self) -> None:
        """Wait until the device has done what it was given."""
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    @property
    def name(self) -> str:
        """What people call the device."""
        return torch.cuda.get_device_name(self.device) if self.is_cuda else f"CPU ({platform.machine()})"

    @property
    def uuid(self) -> str | None:
        """NVML's id of the GPU, or None on a CPU."""
        return f"GPU-{torch.cuda.get_device_properties(self.device).uuid}" if self.is_cuda else None


def prepare(
    *, device: str, threads: int, precision: str = "float32", channels_last: str = "no", deterministic: str = "yes"
) -> Machine:
    """Settle the machine settings and tell torch. Changes the process's global state.

    Raises:
        ConfigError: the device is not there, or does not compute in the precision that was asked for.
    """
    if threads:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    cuda = chosen.type == "cuda"
    if cuda:
        torch.cuda.set_device(chosen)
    else:
        _keep_freed_pages()
    machine = Machine(
        device=chosen,
        autocast_dtype=_autocast_dtype(precision, cuda=cuda),
        channels_last=channels_last == "yes" or (channels_last == "auto" and cuda),
        deterministic=deterministic in ("yes", "auto"),
    )
    torch.use_deterministic_algorithms(machine.deterministic)
    # Filling every new tensor with NaN is an aid for finding reads of unwritten memory, and costs a pass over it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic = machine.deterministic
    torch.backends.cudnn.benchmark = not machine.deterministic
    return machine


def _autocast_dtype(precision: str, *, cuda: bool) -> torch.dtype | None:
    """bfloat16 where it is asked for, or by itself on a CUDA device that has it: autocast refuses an emulated one."""
    has_it = not cuda or torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not has_it:
        raise ConfigError("precision", "this CUDA device does not compute in bfloat16; choose float32 or auto")
    return torch.bfloat16 if precision == "bfloat16" or (precision == "auto" and cuda and has_it) else None


def _keep_freed_pages() -> None:
    """Tell glibc to keep large blocks that were freed, instead of asking the kernel for zeroed pages at every step.

    A C library without mallopt goes on as it is: this changes no result.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def choose_device(text: str) -> torch.device:
    """The device that a setting means.

    Raises:
        ConfigError: there is no such device on this machine.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
    if text == "cpu":
        return torch.device("cpu")
    index = int(text.partition(":")[2] or 0)
    if index >= count:
        seen = f"{count} CUDA devices" if count else "no CUDA device"
        raise ConfigError("device", f"{text} is not there, torch sees {seen}; choose another one, cpu or auto")
    return torch.device("cuda", index)


def fingerprint(machine: Machine) -> dict[str, Any]:
    """What the bits of a run depend on beside its settings: libraries, device, instruction set, threads."""
    import kornia
    import torchvision

    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "kornia": kornia.__version__,
        "cuda": torch.version.cuda if machine.is_cuda else None,
        "cudnn": torch.backends.cudnn.version() if machine.is_cuda else None,
        "device": machine.name,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": str(machine.autocast_dtype or torch.float32).removeprefix("torch."),
        "channels_last": machine.channels_last,
        "deterministic": machine.deterministic,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed between two fingerprints, in words."""
    names = sorted(before.keys() | now.keys())
    return [f"{name} {before.get(name)} → {now.get(name)}" for name in names if before.get(name) != now.get(name)]
