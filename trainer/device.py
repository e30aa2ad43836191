"""The device a run trains on, how exact it is there, and what its bits depend on."""

import contextlib
import ctypes
import gc
import math
import os
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.ranks import ALONE, Ranks
from trainer.versions import version_of

_PAGES_SECONDS = 60.0
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
        ConfigError: the device is not there, does not compute in the precision that was asked for, or can't be
            deterministic with this environment.
    """
    if threads:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    cuda = chosen.type == "cuda"
    if cuda:
        if deterministic != "no":
            check_cublas()
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


def prepare_for(config: PretrainConfig, ranks: Ranks = ALONE) -> Machine:
    """Settle the machine settings of a run, as `prepare` does; each of several ranks has a GPU of its own."""
    on_cuda = config.device != "cpu" and torch.cuda.is_available()
    return prepare(
        device=config.device if ranks.is_alone or not on_cuda else f"cuda:{ranks.local_rank}",
        threads=config.threads,
        precision=config.precision,
        channels_last=config.channels_last,
        deterministic=config.deterministic,
    )


def check_cublas() -> None:
    """Refuse a deterministic run where torch would raise in its first matrix product (notes/randomness of PyTorch).

    Raises:
        ConfigError: the environment lets cuBLAS choose a workspace with which it is not reproducible.
    """
    chosen = os.environ.get("CUBLAS_WORKSPACE_CONFIG", "")
    if chosen not in (":4096:8", ":16:8"):
        said = f"CUBLAS_WORKSPACE_CONFIG is {chosen or 'not set'}, with which cuBLAS is not reproducible"
        raise ConfigError("deterministic", f"{said}; set it to :4096:8, or give --deterministic no")


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


class PageReturner:
    """Gives freed memory back to the system now and then: what an evaluation needed for a moment is not kept for days.

    glibc does so by itself only as long as `mallopt` was not told otherwise. Changes no result.
    """

    def __init__(self) -> None:
        """The first call gives back at once."""
        self._at = -math.inf

    def __call__(self) -> None:
        """Give back, at most once a minute: the pages have to be zeroed when they are asked for again."""
        if time.monotonic() - self._at >= _PAGES_SECONDS:
            self._at = time.monotonic()
            _trim_heap()


def let_go(machine: Machine) -> None:
    """Give back what was freed, on the device or on a CPU's heap."""
    gc.collect()
    if machine.is_cuda:
        with contextlib.suppress(RuntimeError):  # memory that stays is no reason to fail
            torch.cuda.empty_cache()
    else:
        _trim_heap()


def _trim_heap() -> None:
    """Give freed pages back to the system, where the C library can (malloc_trim(3))."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def choose_device(text: str) -> torch.device:
    """The device that a setting means.

    Raises:
        ConfigError: there is no such device on this machine.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text in ("auto", "next"):  # the next free one is the only one that torch is shown
        return torch.device("cuda", 0) if count else torch.device("cpu")
    if text == "cpu":
        return torch.device("cpu")
    index = int(text.partition(":")[2] or 0)
    if index >= count:
        seen = f"{count} CUDA devices" if count else "no CUDA device"
        raise ConfigError("device", f"{text} is not there, torch sees {seen}; choose another one, cpu or auto")
    return torch.device("cuda", index)


def fingerprint(machine: Machine, *, step_mode: str | None = None) -> dict[str, Any]:
    """What the bits of a run depend on beside its settings and images: libraries, device, instruction set, threads.

    Args:
        machine: the device.
        step_mode: how steps are really run (`trainer.stepper`), where any are: other kernels round otherwise.
    """
    import kornia
    import torchvision

    facts = {
        "simclr_tui": version_of("simclr-tui"),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "kornia": kornia.__version__,
        "cuda": torch.version.cuda if machine.is_cuda else None,
        "cudnn": torch.backends.cudnn.version() if machine.is_cuda else None,
        "device": machine.name,
        "cpu": _cpu_model(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_extensions": _cpu_extensions(),
        "threads": torch.get_num_threads(),
        "precision": str(machine.autocast_dtype or torch.float32).removeprefix("torch."),
        "channels_last": machine.channels_last,
        "deterministic": machine.deterministic,
        **{name: os.environ.get(name) for name in _VARIABLES},
    }
    facts |= {} if step_mode is None else {"step_mode": step_mode}
    return facts | (_cuda_facts(machine) if machine.is_cuda else {})


_VARIABLES = (
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""Variables of the environment that choose other kernels, and that no library tells of."""

_EXTENSIONS = re.compile(r"(sse|avx|amx|fma|f16c|bf16|asimd|sve|i8mm).*")


def _cpu_model() -> str:
    """Vendor's name, family and model: oneDNN and MKL choose their kernels by them."""
    lines = dict(_cpu_lines())
    numbers = [f"{name} {lines[name]}" for name in ("cpu family", "model") if name in lines]
    name = lines.get("model name") or lines.get("CPU part") or platform.machine()
    return f"{name} ({', '.join(numbers)})" if numbers else name


def _cpu_extensions() -> list[str]:
    """The vector extensions that the kernel shows; a virtual machine that moves may lose some under the same name."""
    lines = dict(_cpu_lines())
    flags = (lines.get("flags") or lines.get("Features") or "").split()
    return sorted(flag for flag in set(flags) if _EXTENSIONS.match(flag))


def _cpu_lines() -> Iterator[tuple[str, str]]:
    """Names and values of the first processor of /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return
    for line in text.splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _cuda_facts(machine: Machine) -> dict[str, Any]:
    """What of a GPU the bits depend on: cards of one name may differ in their multiprocessors (MIG)."""
    properties = torch.cuda.get_device_properties(machine.device)
    try:
        driver = Path("/sys/module/nvidia/version").read_text().strip()
    except OSError:
        driver = None
    return {
        "driver": driver,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }
