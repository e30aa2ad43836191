"""The machine: versions, GPUs and who else is on them, shared memory, limits, and the clock."""

import os
import re
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainer import elsewhere
from trainer.addresses import UNTOLD, read_notify, trouble
from trainer.doctor.check import Check, listed, plural
from trainer.elsewhere import available_cores
from trainer.rapl import NotMeasuredError, zones
from trainer.room import size
from trainer.versions import torch_build, version_of

OLDEST_PYTHON = (3, 11)
OLDEST_TORCH = (2, 11)

_SMALL_SHM_BYTES = 1 << 30
_SMALL_MEMORY_BYTES = 4 << 30
_FEW_FILES = 1024
_CLOCK_SLACK_SECONDS = 120.0


def python_version(found: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Whether Python is one that is tested."""
    words = ".".join(map(str, found))
    if found[:2] >= OLDEST_PYTHON:
        return Check("Python", "ok", f"version {words}")
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Check(
        "Python", "bad", f"version {words} is older than {oldest}", f"install simclr-tui under Python {oldest}"
    )


def torch_version(found: str | None = None) -> Check:
    """Whether torch is there and one that is tested; it is not imported."""
    remedy = f"`pip install 'torch>={OLDEST_TORCH[0]}.{OLDEST_TORCH[1]}'`"
    found = version_of("torch") if found is None else found
    if found is None:
        return Check("torch", "bad", "it is not installed", remedy)
    match = re.match(r"(\d+)\.(\d+)", found)
    if match is None:
        return Check("torch", "unknown", f"version {found} is none that can be compared")
    if (int(match[1]), int(match[2])) < OLDEST_TORCH:
        return Check("torch", "bad", f"version {found} is older than any that is tested", remedy)
    build = torch_build() if found == version_of("torch") else None
    return Check("torch", "ok", f"version {found}" + (f", built for {build}" if build else ""))


def gpus() -> Iterator[Check]:
    """What NVML says: driver, GPUs, their memory, and whose other processes are on them."""
    try:
        with _nvml() as nvml:
            yield from _gpus(nvml)
    except Exception as error:  # NVML raises a class for each of its codes, and ImportError where it is missing
        words = str(error) or type(error).__name__
        yield Check("GPU", "ok", f"no NVIDIA GPU can be asked ({words.lower()}), so runs train on the CPU")


@contextmanager
def _nvml() -> Iterator[Any]:
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _gpus(nvml: Any) -> Iterator[Check]:
    count = nvml.nvmlDeviceGetCount()
    driver = nvml.nvmlSystemGetDriverVersion()
    if not count:
        yield Check("GPU", "ok", f"driver {driver} sees no GPU, so runs train on the CPU")
        return
    if torch_build() == "the CPU alone":
        yield Check(
            "CUDA",
            "warn",
            f"there are GPUs, and torch {version_of('torch')} is a build without CUDA",
            "install a CUDA build of torch (pytorch.org/get-started)",
        )
    for number in range(count):
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        about = f"{nvml.nvmlDeviceGetName(handle)}, {size(memory.free)} of {size(memory.total)} free"
        about += f", energy {_energy_of(nvml, handle)}"
        yield _neighbours(f"GPU {number}", f"{about}, driver {driver}", _processes_on(nvml, handle))


def _energy_of(nvml: Any, handle: Any) -> str:
    """How the energy of a GPU becomes known."""
    for name, words in (
        ("nvmlDeviceGetTotalEnergyConsumption", "by its counter"),
        ("nvmlDeviceGetPowerUsage", "estimated from its power, since it has no counter"),
    ):
        try:
            getattr(nvml, name)(handle)
        except nvml.NVMLError:
            continue
        return words
    return "not measured, since it tells neither energy nor power"


def _processes_on(nvml: Any, handle: Any) -> list[tuple[int, int | None]]:
    """(process id, bytes) of everything that computes on a GPU."""
    try:
        found = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:  # not told on some virtual machines
        return []
    return [(one.pid, one.usedGpuMemory) for one in found]


def _neighbours(name: str, about: str, processes: list[tuple[int, int | None]]) -> Check:
    others = [
        f"process {pid} of {owner}" + (f" with {size(used)}" if used else "")
        for pid, used in processes
        if (owner := _owner(pid)) != _owner(os.getpid())
    ]
    if not others:
        return Check(name, "ok", about)
    return Check(
        name,
        "warn",
        f"{about}; others are on it: {listed(others)}",
        "ask them, choose another --device, or expect slower steps and less memory",
    )


def _owner(pid: int) -> str:
    return elsewhere.owner(pid) or "somebody outside this container"


def energy(powercap: Path | None = None) -> Check:
    """Whether the energy of the processors is measured; that of a GPU is said with the GPU."""
    try:
        found = zones(powercap)
    except NotMeasuredError as error:
        return Check("energy", "ok", f"that of the processors is not measured: {error.reason}", error.remedy)
    return Check("energy", "ok", f"that of the processors is measured ({listed(zone.name for zone in found)})")


def shared_memory(path: Path = Path("/dev/shm")) -> Check:
    """Whether loader workers have room to hand batches over."""
    remedy = "give the container more (`--shm-size=8g`, or `--ipc=host`), or launch with --num-workers 0"
    if sys.platform == "darwin":
        return Check("shared memory", "ok", "macOS sets no folder of it aside")
    try:
        free = shutil.disk_usage(path).free
    except OSError as error:
        return Check("shared memory", "warn", f"{path} can't be used ({error.strerror})", remedy)
    if free < _SMALL_SHM_BYTES:
        words = f"{path} has {size(free)} free, and loader workers die where it runs full"
        return Check("shared memory", "warn", words, remedy)
    return Check("shared memory", "ok", f"{path} has {size(free)} free")


def open_files() -> Check:
    """Whether a process may open enough files for workers and their pipes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        return Check("open files", "warn", f"a process may open only {soft:,}", f"`ulimit -n {4 * _FEW_FILES}`")
    return Check("open files", "ok", "no limit" if soft == resource.RLIM_INFINITY else f"a process may open {soft:,}")


def notices() -> Iterator[Check]:
    """Whether the addresses can be used that a person has set up for notices; nothing where there are none."""
    wrong = trouble()
    if wrong:
        sentence, _, remedy = wrong.rpartition("; ")
        yield Check("notices", "bad", f"{UNTOLD}: {sentence}", remedy)
    elif (found := read_notify()).to:
        yield Check("notices", "ok", f"{found.source} has {listed(address.name for address in found.to)}")


def processors(cgroup: "Cgroup | None" = None) -> Check:
    """Cores that may be used, and whether the control group gives less time than they have."""
    cores = available_cores()
    quota = (cgroup or Cgroup()).cpu_limit()
    if quota is not None and quota < cores - 0.01:
        return Check(
            "processors",
            "warn",
            f"{plural(cores, 'core')} can be seen and the control group gives the time of {quota:.3g}",
            f"launch with --threads {max(1, int(quota))}, so that threads don't wait for each other",
        )
    return Check("processors", "ok", plural(cores, "core"))


def memory(cgroup: "Cgroup | None" = None) -> Check:
    """Memory that can still be had, from the machine and from the control group."""
    free, total = elsewhere.memory_of_machine()
    words = f"{size(free)} of {size(total)} free"
    limit = (cgroup or Cgroup()).memory_limit()
    if limit is not None and limit[1] < total:
        free = min(free, limit[1] - limit[0])
        words += f"; the control group allows {size(limit[1])}, of which {size(limit[0])} are taken"
    if free < _SMALL_MEMORY_BYTES:
        remedy = "end what is not needed, or launch with --cache none and fewer --num-workers"
        return Check("memory", "warn", words, remedy)
    return Check("memory", "ok", words)


class Cgroup:
    """The limits of this process's control group and of those above it, of version 1 and 2 (cgroups(7))."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), membership: str | None = None) -> None:
        """Args: where they are mounted, and what /proc/self/cgroup says."""
        self._root = root
        own = elsewhere.PROC / "self" / "cgroup"
        text = own.read_text() if membership is None and own.exists() else membership or ""
        self._paths: dict[str, str] = {}
        for line in text.splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            self._paths |= dict.fromkeys(controllers.split(","), path)

    def _read(self, controller: str, name: str) -> list[str]:
        """A file of this group and of every group above it, as far as they can be read."""
        # Within a container the group's own path is often that of the host, and only the root is mounted.
        path = self._paths.get(controller, "/")
        root = self._root / controller if controller else self._root
        folders = {root, *(root / str(part).lstrip("/") for part in (Path(path), *Path(path).parents))}
        texts = []
        for folder in folders:
            try:
                texts.append((folder / name).read_text().strip())
            except OSError:
                continue
        return texts

    def cpu_limit(self) -> float | None:
        """Cores' worth of time that the groups allow, or None where they set no limit."""
        quotas = [text.split() for text in self._read("", "cpu.max")]
        limits = [int(words[0]) / int(words[1]) for words in quotas if len(words) == 2 and words[0].isdigit()]
        for quota, period in zip(
            self._read("cpu", "cpu.cfs_quota_us"), self._read("cpu", "cpu.cfs_period_us"), strict=False
        ):
            if quota.isdigit() and period.isdigit():
                limits.append(int(quota) / int(period))
        return min(limits, default=None)

    def memory_limit(self) -> tuple[int, int] | None:
        """(bytes taken, bytes allowed) of the tightest group, or None where none sets a limit."""
        found: list[tuple[int, int]] = []
        for controller, taken, allowed in (
            ("", "memory.current", "memory.max"),
            ("memory", "memory.usage_in_bytes", "memory.limit_in_bytes"),
        ):
            for used, limit in zip(self._read(controller, taken), self._read(controller, allowed), strict=False):
                if used.isdigit() and limit.isdigit():
                    found.append((int(used), int(limit)))
        return min(found, key=lambda pair: pair[1] - pair[0], default=None)


def clock(newest_event_at: float | None, now: float | None = None) -> Check:
    """Whether the clock is not before what the store says has happened already."""
    now = time.time() if now is None else now
    words = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    if newest_event_at is not None and newest_event_at - now > _CLOCK_SLACK_SECONDS:
        return Check(
            "clock",
            "bad",
            f"it says {words}, which is {newest_event_at - now:,.0f} s before the newest event of the store",
            "set it (`timedatectl set-ntp true`); until then runs are shown in a wrong order and as stalled or live",
        )
    return Check("clock", "ok", words)
