"""What a machine does for a run: processes on its GPUs or of its trainer, memory, disk and load. Looks only.

NVML and psutil are asked directly, in the thread of whoever reads: both answer within milliseconds. psutil is
imported on the first reading, since the first frame of the dashboard must not wait for it.
"""

import os
import shutil
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainer.elsewhere import available_cores
from trainer.proc import descendants
from trainer.process import Identity, is_alive, start_ticks
from trainer.store.records import Run

_MOST_PROCESSES = 60
_LONGEST_COMMAND = 400
_LAUNCHERS = ("torchrun", "torch.distributed.run")
_TRAINER = "trainer.run"
"""Words of the command lines of what launches ranks, and of a rank."""
_WATCHDOG = "trainer.watchdog"
"""A word of the command line of the process that ends a trainer which hangs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuLook:
    """A GPU as NVML sees it now; None where it does not tell."""

    uuid: str
    name: str
    index: int
    util: float | None = None
    """Percent."""
    memory_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    throttle: str = ""
    """Why its clocks are held back, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLook:
    """A process that computes on a GPU, or that belongs to a run."""

    pid: int
    user: str = ""
    """Empty where that is not told, as of a process outside a container."""
    command: str = ""
    gpu: int | None = None
    """Number of the GPU that it computes on."""
    gpu_memory_bytes: int | None = None
    cpu_percent: float | None = None
    """Of one core, since the reading before; None in the first one."""
    memory_bytes: int | None = None
    """Proportional set size, so that pages which workers share are counted once."""
    threads: int | None = None
    role: str = ""
    """trainer, rank, worker, watchdog, or nothing where it does not belong to the run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostLook:
    """The machine."""

    name: str
    cores: int
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    memory_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    disk_total_bytes: int | None = None
    load: tuple[float, float, float] | None = None
    """Processes that run or wait for the disk: means over 1, 5 and 15 minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemLook:
    """All of it at one time."""

    host: HostLook
    gpus: tuple[GpuLook, ...] = ()
    processes: tuple[ProcessLook, ...] = ()
    """The run's trainer and its workers first, then whoever else computes on a GPU, the largest first."""
    note: str = ""
    """Why there are no processes of the run, in a sentence."""


@dataclass(slots=True)
class SystemReader:
    """Reads again and again; the share of a CPU is that since the reading before."""

    runs: Path
    _known: dict[tuple[int, int], Any] = field(default_factory=dict)
    """psutil's processes by pid and start: they remember their CPU time."""

    def read(self, run: Run | None) -> SystemLook:
        """The machine, and the processes of a run if one is named. Never raises for what is not told."""
        gpus, on_gpus = _gpus()
        ours, note = self._ours(run)
        foreign = [one for one in on_gpus if one.pid not in {mine.pid for mine in ours}]
        used = {one.pid: one for one in on_gpus}
        merged = [_with_gpu(one, used.get(one.pid)) for one in ours] + [self._looked_at(one) for one in foreign]
        order = sorted(merged, key=_rank)
        self._forget({one.pid for one in order})
        return SystemLook(host=_host(self.runs), gpus=gpus, processes=tuple(order[:_MOST_PROCESSES]), note=note)

    def _ours(self, run: Run | None) -> tuple[list[ProcessLook], str]:
        """The trainer of a run with its descendants, or why there is none here."""
        if run is None:
            return [], ""
        if run.pid is None:
            return [], f"{run.name} has had no trainer yet"
        if run.host != socket.gethostname():
            return [], f"{run.name} was trained on {run.host}, which is another machine; look there"
        who = Identity(host=run.host, boot_id=run.boot_id or "", pid=run.pid, start_ticks=run.start_ticks or 0)
        if not is_alive(who):
            return [], f"{run.name} has no live trainer, so it has no process"
        roles = {run.pid: "trainer"} | dict.fromkeys(descendants(run.pid), "worker")
        roles = _other_ranks(run.pid) | roles
        found = (self._process(pid, role) for pid, role in roles.items())
        return [one for one in found if one is not None], ""

    def _looked_at(self, on_gpu: ProcessLook) -> ProcessLook:
        """A process of somebody else with what may be known of it."""
        known = self._process(on_gpu.pid, "")
        return _with_gpu(known, on_gpu) if known is not None else on_gpu

    def _process(self, pid: int, role: str) -> ProcessLook | None:
        """What psutil tells of a process; None once it is gone."""
        import psutil

        key = (pid, start_ticks(pid) or 0)
        try:
            process = self._known.get(key)
            is_new = process is None
            if process is None:
                process = self._known[key] = psutil.Process(pid)
            with process.oneshot():
                percent = process.cpu_percent(None)
                user = _told(process.username) or ""
                words = _told(process.cmdline) or [_told(process.name) or ""]
                memory = _told(lambda: _memory(process))
                threads = _told(process.num_threads)
        except psutil.Error:
            self._known.pop(key, None)
            return None
        return ProcessLook(
            pid=pid,
            user=user,
            command=" ".join(" ".join(words).split())[:_LONGEST_COMMAND],
            cpu_percent=None if is_new else percent,
            memory_bytes=memory,
            threads=threads,
            role="watchdog" if role == "worker" and _WATCHDOG in words else role,
        )

    def _forget(self, pids: set[int]) -> None:
        for key in [key for key in self._known if key[0] not in pids]:
            del self._known[key]


def _other_ranks(pid: int) -> dict[int, str]:
    """The processes that train a run together with its trainer on this machine, and their workers, by their roles."""
    import psutil

    try:
        launcher = psutil.Process(pid).parent()
        if launcher is None or not any(one in word for word in launcher.cmdline() for one in _LAUNCHERS):
            return {}
        ranks = [one.pid for one in launcher.children() if one.pid != pid and _TRAINER in one.cmdline()]
    except psutil.Error:
        return {}
    return dict.fromkeys(ranks, "rank") | {worker: "worker" for one in ranks for worker in descendants(one)}


def _rank(process: ProcessLook) -> tuple[int, int, int]:
    order = {"trainer": 0, "rank": 1, "worker": 2, "watchdog": 3}.get(process.role, 4)
    return order, -(process.gpu_memory_bytes or 0), process.pid


def _with_gpu(process: ProcessLook, on_gpu: ProcessLook | None) -> ProcessLook:
    if on_gpu is None:
        return process
    return replace(process, gpu=on_gpu.gpu, gpu_memory_bytes=on_gpu.gpu_memory_bytes)


def _told(ask: Any) -> Any:
    """An answer, or None where this process may not have it or there is none any more."""
    import psutil

    try:
        return ask()
    except (psutil.Error, OSError):
        return None


def _memory(process: Any) -> int:
    """The proportional set size, or the resident one where only the owner is told the other."""
    import psutil

    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError, OSError):
        return int(process.memory_info().rss)


def _host(runs: Path) -> HostLook:
    import psutil

    memory = psutil.virtual_memory()
    disk = _told(lambda: shutil.disk_usage(runs))
    return HostLook(
        name=socket.gethostname(),
        cores=available_cores(),
        cpu_percent=psutil.cpu_percent(None),
        memory_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        disk_free_bytes=disk.free if disk else None,
        disk_total_bytes=disk.total if disk else None,
        load=_told(os.getloadavg),
    )


def _gpus() -> tuple[tuple[GpuLook, ...], list[ProcessLook]]:
    """Every GPU of the machine and who computes on it; nothing where there is no NVML."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), []
    try:
        return read_gpus(pynvml)
    except pynvml.NVMLError:
        return (), []
    finally:
        pynvml.nvmlShutdown()


def read_gpus(nvml: Any) -> tuple[tuple[GpuLook, ...], list[ProcessLook]]:
    """What an initialised NVML tells of GPUs and of processes on them."""
    gpus, processes = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        gpus.append(_gpu(nvml, handle, index))
        for one in _answer(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle), ()):  # noqa: B023
            processes.append(ProcessLook(pid=int(one.pid), gpu=index, gpu_memory_bytes=one.usedGpuMemory))
    return tuple(gpus), processes


def _gpu(nvml: Any, handle: Any, index: int) -> GpuLook:
    from trainer.gpu import throttle_words

    memory = _answer(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    power = _answer(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    util = _answer(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    return GpuLook(
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        index=index,
        util=util.gpu if util else None,
        memory_bytes=memory.used if memory else None,
        memory_total_bytes=memory.total if memory else None,
        power_watts=power / 1000 if power is not None else None,
        temperature_celsius=_answer(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
        throttle=throttle_words(_answer(nvml, lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle), 0)),
    )


def _answer(nvml: Any, ask: Any, otherwise: Any = None) -> Any:
    """An answer of NVML, or another one where a card or a virtual machine does not tell that figure."""
    try:
        return ask()
    except nvml.NVMLError:
        return otherwise
