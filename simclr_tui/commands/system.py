"""`system`: the machine, its GPUs and who computes on them, and the processes of a run."""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simclr_tui.comfort.user_settings import read_price
from simclr_tui.commands.output import columns, open_reader, say, say_json, section
from simclr_tui.commands.ranks import read_ranks, say_ranks
from simclr_tui.energy_words import energy_lines
from simclr_tui.format import UNKNOWN
from simclr_tui.run.ranks import RanksLook
from simclr_tui.run.system import SystemLook, SystemReader
from simclr_tui.run.system_words import (
    PROCESS_HEADING,
    PROCESS_RIGHT,
    gpu_words,
    held_back,
    host_lines,
    process_rows,
    trends,
    workers_words,
)
from trainer.errors import ExitCode
from trainer.store.records import Run

_BETWEEN_SECONDS = 0.4
"""Between two looks: a share of a CPU is one over time."""
_SAMPLES = 600
_TREND_CELLS = 40


def show_system(options: argparse.Namespace, runs: Path) -> int:
    """Print what the machine does, and for a run what its device did over the last minutes."""
    run: Run | None = None
    samples: list[dict[str, Any]] = []
    epochs: list[dict[str, Any]] = []
    ranks = RanksLook()
    if options.run is not None:
        with open_reader(runs) as store:
            run = store.find(options.run)
            samples, epochs = store.device_samples(run.id, limit=_SAMPLES), store.epochs(run.id)
            ranks = read_ranks(store, run.id)
    reader = SystemReader(runs if runs.exists() else Path.cwd())
    reader.read(run)
    time.sleep(_BETWEEN_SECONDS)
    look = reader.read(run)
    if options.json:
        document = dataclasses.asdict(look)
        ours = {} if run is None else {"id": run.id, "name": run.name, "samples": samples, **dataclasses.asdict(ranks)}
        say_json(document | ours)
        return ExitCode.FINISHED
    energy = energy_lines(run, epochs, read_price()) if run is not None else []
    _print(look, run, samples, energy, ranks)
    return ExitCode.FINISHED


def _print(
    look: SystemLook,
    run: Run | None,
    samples: list[dict[str, Any]],
    energy: Sequence[tuple[str, str]],
    ranks: RanksLook,
) -> None:
    for name, words in host_lines(look.host):
        say(f"{name:<8}{words}")
    for gpu in look.gpus:
        say(f"GPU #{gpu.index}  {gpu_words(gpu)} · {gpu.name}")
    if not look.gpus:
        say("GPU     none that NVML can be asked about")
    if run is not None:
        lines = [f"{words:<18}{value:>22}  {drawn}" for words, drawn, value in trends(samples, _TREND_CELLS)]
        lines = lines or ["no sample of its device yet"]
        lines += [f"{name:<18}{words}" for name, words in energy]
        reasons = held_back(samples)
        lines += [f"▲ clocks held back: {reasons} of the samples"] if reasons else []
        section(f"{run.name} on {run.device or UNKNOWN}, its last samples", lines)
        say_ranks(ranks)
    section(f"processes: {workers_words(look)}", _processes(look) or [look.note or "nobody computes on a GPU"])


def _processes(look: SystemLook) -> list[str]:
    rows = process_rows(look)
    return columns(PROCESS_HEADING, rows, right=PROCESS_RIGHT).splitlines() if rows else []
