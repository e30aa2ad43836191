"""What a machine does, in words and as rows of a table. Pure; screen and command share it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from simclr_tui.format import UNKNOWN, count, number, size
from simclr_tui.run.system import GpuLook, HostLook, ProcessLook, SystemLook

PROCESS_HEADING = ("", "pid", "user", "GPU", "GPU mem", "CPU %", "memory", "threads", "command")
"""Of the table of processes; the columns from the GPU's memory to the threads are numbers."""
_LEVELS = "▁▂▃▄▅▆▇█"
PROCESS_RIGHT = (1, 4, 5, 6, 7)

_TRENDS: Sequence[tuple[str, str, str]] = (
    ("gpu_util", "utilisation", "%"),
    ("gpu_memory_bytes", "memory", ""),
    ("power_watts", "power", "W"),
    ("temperature_celsius", "temperature", "°C"),
    ("cpu_percent", "CPU", "%"),
    ("cpu_watts", "CPU power", "W"),
    ("process_memory_bytes", "trainer's memory", ""),
)


def host_lines(host: HostLook) -> list[tuple[str, str]]:
    """Names with words: CPU, memory, disk and load of the machine."""
    cores = "1 core" if host.cores == 1 else f"{host.cores} cores"
    busy = f"{host.cpu_percent:.0f} % of {cores}" if host.cpu_percent is not None else cores
    load = " ".join(f"{one:.1f}" for one in host.load) if host.load else UNKNOWN
    used = f"{size(host.memory_bytes)} of {size(host.memory_total_bytes)}"
    disk = f"{size(host.disk_free_bytes)} free of {size(host.disk_total_bytes)}"
    return [
        ("host", host.name),
        ("CPU", f"{busy} · load {load} (1, 5, 15 min)"),
        ("memory", f"{used} in use"),
        ("disk", f"{disk}, of the runs folder"),
    ]


def gpu_words(gpu: GpuLook) -> str:
    """What a GPU does now; what it does not tell is left out."""
    memory = f"{size(gpu.memory_bytes)} of {size(gpu.memory_total_bytes)}" if gpu.memory_bytes is not None else ""
    words = [
        f"{gpu.util:.0f} %" if gpu.util is not None else "",
        memory,
        f"{gpu.power_watts:.0f} W" if gpu.power_watts is not None else "",
        f"{gpu.temperature_celsius:.0f} °C" if gpu.temperature_celsius is not None else "",
        f"▲ held back: {gpu.throttle}" if gpu.throttle else "",
    ]
    return " · ".join(filter(None, words)) or "it tells nothing of itself"


def trends(samples: Sequence[Mapping[str, Any]], cells: int) -> list[tuple[str, str, str]]:
    """Each figure of a run's device over its last minutes: its name, a sparkline, and the newest value."""
    rows = []
    samples = _with_cpu_power(samples)
    is_cpu = bool(samples) and samples[-1].get("source") == "cpu"
    for name, words, unit in _TRENDS:
        if is_cpu and name in ("gpu_util", "cpu_watts"):
            continue  # the same figure as another one
        known = [sample[name] for sample in samples if sample.get(name) is not None]
        if known:
            top = 100.0 if unit in ("%", "°C") else max(max(known), 1.0)
            rows.append((words, from_zero(known, cells, top), _value(name, known[-1], unit, samples[-1])))
    return rows


def _with_cpu_power(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Samples with the mean power of the processors since the one before, where the same trainer took that."""
    found = list(samples[:1])
    for before, after in itertools.pairwise(samples):
        then, now = before.get("cpu_energy_joules"), after.get("cpu_energy_joules")
        watts = None
        if then is not None and now is not None and now >= then and after["at"] > before["at"]:
            watts = (now - then) / (after["at"] - before["at"])
        found.append({**after, "cpu_watts": watts})
    return found


def from_zero(values: Sequence[float], cells: int, top: float) -> str:
    """A series as a row of small bars, each the mean of its stretch, from 0 to `top`."""
    many = min(cells, len(values))
    edges = [number * len(values) // many for number in range(many + 1)] if many > 0 else []
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    return "".join(_LEVELS[round(min(1.0, max(0.0, mean / top)) * (len(_LEVELS) - 1))] for mean in means)


def _value(name: str, value: float, unit: str, sample: Mapping[str, Any]) -> str:
    if name == "gpu_memory_bytes":
        return f"{size(value)} of {size(sample.get('gpu_memory_total_bytes'))}"
    if name == "process_memory_bytes":
        return size(value)
    return f"{value:.0f} {unit}"


def held_back(samples: Sequence[Mapping[str, Any]]) -> str:
    """Why the clocks were held back in these samples, and in how many of them; nothing where they never were."""
    counts: dict[str, int] = {}
    for sample in samples:
        for reason in filter(None, (sample.get("throttle_reasons") or "").split(", ")):
            counts[reason] = counts.get(reason, 0) + 1
    return ", ".join(f"{reason} in {100 * many / len(samples):.0f} %" for reason, many in counts.items())


def process_rows(look: SystemLook) -> list[list[str]]:
    """A line of cells for each process, under `PROCESS_HEADING`."""
    return [_process_row(one) for one in look.processes]


def _process_row(one: ProcessLook) -> list[str]:
    return [
        one.role or "other",
        str(one.pid),
        one.user or UNKNOWN,
        f"#{one.gpu}" if one.gpu is not None else UNKNOWN,
        size(one.gpu_memory_bytes),
        number(one.cpu_percent, 2) if one.cpu_percent is not None else UNKNOWN,
        size(one.memory_bytes),
        count(one.threads),
        one.command or "not told",
    ]


def workers_words(look: SystemLook) -> str:
    """How many processes are the run's, and how many are other people's."""
    workers = sum(one.role == "worker" for one in look.processes)
    others = sum(not one.role for one in look.processes)
    ranks = sum(one.role == "rank" for one in look.processes)
    has_trainer = any(one.role == "trainer" for one in look.processes)
    below = "no worker" if not workers else "1 worker" if workers == 1 else f"{workers} workers"
    beside = f", {ranks} other rank{'s' * (ranks > 1)}" if ranks else ""
    ours = f"the trainer{beside} and {below}" if has_trainer else look.note or "no process of the run"
    return f"{ours} · {others} other on the GPUs" if others or look.gpus else ours
