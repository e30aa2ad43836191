"""Several ways to do the same work, timed in turns, and what a reader must know of the machine to judge the seconds.

The rounds are interleaved (A B C A B C): a machine that slows down slows all ways alike, and times are compared within
a round. The first call of a way compiles, allocates and looks for its kernels; it is reported apart and not counted.
"""

import ctypes.util
import importlib
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

_NVIDIA_SMI = "name,power.limit,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,driver_version"


@dataclass
class Way:
    """What was measured of one way."""

    name: str
    warm_up: float | None = None
    """Seconds of the first call."""
    rounds: dict[int, float] = field(default_factory=dict)
    """Seconds by round, from 1."""
    error: str = ""
    """Why it ended, if it did; rounds before that are kept."""
    remarks: dict[str, Any] = field(default_factory=dict)
    """What the caller wants to have written beside the seconds, by heading."""

    @property
    def median(self) -> float:
        """Median seconds of the rounds; NaN where there is none."""
        return statistics.median(self.rounds.values()) if self.rounds else math.nan


class Stopwatch:
    """Wall-clock seconds of a block, from an idle device to an idle device."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        """Args: whose work is timed."""
        self._device = torch.device(device)
        self.seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        synchronise(self._device)
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        synchronise(self._device)
        self.seconds = time.perf_counter() - self._begun


def synchronise(device: torch.device | str) -> None:
    """Wait until a CUDA device has done what it was given; a CPU has."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def timed(work: Callable[[], object], device: torch.device | str = "cpu", calls: int = 1) -> Callable[[], float]:
    """A way that runs `work` so many times and returns the seconds of one call."""

    def way() -> float:
        with Stopwatch(device) as watch:
            for _ in range(calls):
                work()
        return watch.seconds / calls

    return way


def interleaved(
    ways: Mapping[str, Callable[[], float | None]],
    rounds: int,
    *,
    warm_ups: int = 1,
    device: torch.device | str = "cpu",
    until: float = math.inf,
    say: Callable[[str], object] | None = None,
) -> dict[str, Way]:
    """Run every way once a round, in turns.

    Args:
        ways: by name. One that returns seconds has measured itself; one that returns None is timed from outside,
            the device idle before and after it.
        rounds: that count.
        warm_ups: calls before them; the seconds of the first are reported.
        device: that is waited for.
        until: what `time.monotonic` says when no further round is begun.
        say: is told of each call.

    Returns:
        What was measured, in the order of `ways`. A way that raises has its reason there, and the others go on.
    """
    measured = {name: Way(name) for name in ways}
    for number in range(1 - warm_ups, rounds + 1):
        if number > 1 and time.monotonic() > until:
            break
        for name, work in ways.items():
            way = measured[name]
            if way.error:
                continue
            seconds = _call(way, work, device)
            if seconds is None:
                continue
            if number >= 1:
                way.rounds[number] = seconds
            elif way.warm_up is None:
                way.warm_up = seconds
            if say is not None:
                say(f"{'warm-up' if number < 1 else f'round {number}'}  {name}  {seconds:.4g} s")
    return measured


def _call(way: Way, work: Callable[[], float | None], device: torch.device | str) -> float | None:
    try:
        with Stopwatch(device) as watch:
            own = work()
    except Exception as error:  # a way that fails is a row with its reason
        way.error = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:300]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None
    return watch.seconds if own is None else own


def against_first(measured: Mapping[str, Way]) -> dict[str, str]:
    """How the seconds of each way compare with those of the first, in words: ratio and its interval by rounds."""
    first, *others = measured.values()
    words = {first.name: "1"}
    try:
        intervals = importlib.import_module("trainer.lab.statistics")
    except ImportError:
        intervals = None
    for way in others:
        ratios = [seconds / first.rounds[number] for number, seconds in way.rounds.items() if number in first.rounds]
        if not ratios:
            words[way.name] = "–"
            continue
        words[way.name] = f"{statistics.median(ratios):.3g}"
        if intervals is None:
            continue
        interval = intervals.ratio_interval(way.rounds, first.rounds, len(others))
        if interval is None:
            words[way.name] += f" (too few rounds for an interval; {min(ratios):.3g}–{max(ratios):.3g})"
        elif interval.includes_one:
            words[way.name] += f", {intervals.no_difference(interval)}"
        else:
            words[way.name] += f" ({interval.low:.3g}–{interval.high:.3g})"
    return words


def table(measured: Mapping[str, Way], *, unit: str = "s", work: float | None = None, per: str = "images/s") -> str:
    """A Markdown table: median, smallest and largest, ratio to the first way, warm-up and remarks.

    Args:
        measured: by `interleaved`; the first is the reference.
        unit: s, ms or µs.
        work: how much one call does, for a column of work a second.
        per: its heading.
    """
    factor = {"s": 1.0, "ms": 1e3, "µs": 1e6}[unit]
    remarks = list(dict.fromkeys(heading for way in measured.values() for heading in way.remarks))
    columns = [f"median {unit}", f"min–max {unit}", "× the first's time (95 % interval)", f"warm-up {unit}"]
    rate = [per] if work else []
    lines = [_row(["way", *columns, *rate, *remarks]), _row(["---"] * (5 + len(rate) + len(remarks)))]
    ratios = against_first(measured) if measured else {}
    for way in measured.values():
        warm_up = "–" if way.warm_up is None else _number(way.warm_up * factor)
        cells = ["–", way.error or "not measured", "–", warm_up]
        if way.rounds:
            low, high = (_number(end(way.rounds.values()) * factor) for end in (min, max))
            note = f"; then {way.error}" if way.error else ""
            cells = [_number(way.median * factor), f"{low}–{high}{note}", ratios[way.name], warm_up]
        speed = [f"{work / way.median:,.0f}" if way.rounds and work else "–"] if rate else []
        lines.append(_row([way.name, *cells, *speed, *(str(way.remarks.get(heading, "")) for heading in remarks)]))
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def machine_facts() -> dict[str, str]:
    """What the seconds depend on: cards with power limit, clocks and driver; CPUs, threads, malloc, versions."""
    facts = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "CPU": f"{_cpu()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} usable",
        "threads": str(torch.get_num_threads()),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "malloc": _malloc(),
        "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", "not set"),
    }
    for name in ("torch", "torchvision", "kornia", "triton", "lightly"):
        with suppress(importlib.metadata.PackageNotFoundError):
            facts[name] = importlib.metadata.version(name)
    if torch.cuda.is_available():
        facts["card"] = torch.cuda.get_device_name()
        facts["CUDA, cuDNN"] = f"{torch.version.cuda}, {torch.backends.cudnn.version()}"
        facts[_NVIDIA_SMI] = _run(["nvidia-smi", f"--query-gpu={_NVIDIA_SMI}", "--format=csv,noheader"])
    return facts


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _malloc() -> str:
    settings = {name: value for name, value in os.environ.items() if name.startswith(("MALLOC_", "LD_PRELOAD"))}
    words = ", ".join(f"{name}={value}" for name, value in settings.items()) or "environment sets nothing"
    return f"{platform.libc_ver()[0] or ctypes.util.find_library('c')} {platform.libc_ver()[1]}; {words}"


def _run(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"{command[0]}: {error}"


def facts_table(facts: Mapping[str, str]) -> str:
    """The facts as one line each."""
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def write(
    path_json: Path | str | None,
    path_md: Path | str | None,
    measured: Mapping[str, Way],
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
    text: str = "",
    **of_table: Any,
) -> str:
    """Write what was measured as JSON and as Markdown.

    Args:
        path_json: of the figures, or None.
        path_md: of the page, or None.
        measured: by `interleaved`.
        title: heading of the page.
        facts: of the machine; taken here where they are not given.
        text: Markdown after the table.
        **of_table: options of `table`.

    Returns:
        The page.
    """
    facts = machine_facts() if facts is None else facts
    command = " ".join(["python", *sys.argv])
    page = f"# {title}\n\n`{command}`\n\n{table(measured, **of_table)}\n\n"
    page += f"{text}\n\n" * bool(text) + f"{facts_table(facts)}\n"
    if path_md is not None:
        put(Path(path_md), page)
    if path_json is not None:
        ways = [{**asdict(way), "median": way.median if way.rounds else None} for way in measured.values()]
        put(Path(path_json), json.dumps({"title": title, "command": command, "facts": dict(facts), "ways": ways}))
    return page


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
