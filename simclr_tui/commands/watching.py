"""`watch` and `--watch`: what goes on, in a line for the status bar of tmux or a shell's prompt.

A status bar asks every few seconds, so that nothing is imported that the line does not need.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import ExitCode, StoreError, TrainerError, UnknownRunError, UsageError
from trainer.paths import check_runs_dir, store_file

if TYPE_CHECKING:
    import argparse

    from trainer.store.reader import StoreReader
    from trainer.store.records import Run

DEFAULT_FORMAT = "{sign} {name} {done} · loss {loss} · kNN {knn} · {left} left · {device} {util}"
FIELDS = ("sign", "name", "id", "state", "done", "epoch", "loss", "knn", "left", "device", "util", "health")
"""What a format can name."""

_SAMPLE_SECONDS = 10.0
_LATEST_EPOCHS = 5
_BUSY_SECONDS = 0.2
_TROUBLE = ("stalled", "interrupted", "failed")


@dataclass(frozen=True, slots=True)
class Looked:
    """The line, and whether it has ended for good."""

    line: str
    is_over: bool


def watch(options: "argparse.Namespace", runs: Path) -> int:
    """Print the line of a run, or of what goes on, again and again until it has ended."""
    _check_format(options.format)
    is_terminal = sys.stdout.isatty()
    while True:
        looked = look(runs, options.run, options.format)
        if options.once or not is_terminal:
            print(looked.line, flush=True)  # noqa: T201
        else:
            print(f"\r\033[K{looked.line}", end="", flush=True)  # noqa: T201
        if options.once or (options.run and looked.is_over):
            print(end="" if options.once or not is_terminal else "\n")  # noqa: T201
            return ExitCode.FINISHED
        time.sleep(options.interval)


def watch_line(runs: Path) -> int:
    """Print one line for a status bar, short also where the store can't be read."""
    try:
        print(look(runs, None, DEFAULT_FORMAT).line)  # noqa: T201
    except TrainerError as error:
        print("simclr-tui: no store to read" if isinstance(error, StoreError) else f"simclr-tui: {error}")  # noqa: T201
        return error.exit_code
    return ExitCode.FINISHED


def _check_format(template: str) -> None:
    """See that a format names only what there is.

    Raises:
        UsageError: it does not.
    """
    from string import Formatter

    try:
        named = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        wrong = next((name for name in named if name not in FIELDS), None)
        if wrong is None:
            template.format(**dict.fromkeys(FIELDS, ""))
    except ValueError as error:
        raise UsageError(f"--format: {error}; write {{{{ for a brace itself") from None
    if wrong is not None:
        raise UsageError(f"--format: {{{wrong}}} is nothing that can be shown; there are {', '.join(FIELDS)}")


def look(runs: Path, wanted: str | None, template: str) -> Looked:
    """What there is to say now.

    Raises:
        UnknownRunError: there is no such run.
        StoreError: the store can't be read.
    """
    from trainer.state import LIVE_STATES, run_state
    from trainer.store.labels import read_labels

    check_runs_dir(runs)
    if not store_file(runs).exists():
        if wanted:
            raise UnknownRunError(f"there is no run in {runs} yet; `simclr-tui launch` makes one")
        return Looked("no run yet", is_over=False)
    reader = _open(runs)
    try:
        if reader.schema_version() == 0:
            return Looked("no run yet", is_over=False)
        hidden = {run_id for run_id, labels in read_labels(reader).items() if labels.is_hidden}
        chosen = [reader.find(wanted)] if wanted else [run for run in reader.runs() if run.id not in hidden]
        states = [(run, run_state(run, runs)) for run in chosen]
        live = next(((run, state) for run, state in states if state in LIVE_STATES), None)
        if wanted or live is not None:
            run, state = live or states[0]
            others = sum(state in LIVE_STATES for _, state in states) - 1
            more = f" (+{others})" if others > 0 else ""
            return Looked(template.format(**_values(reader, run, state)) + more, state not in LIVE_STATES)
        return Looked(_counts([state for _, state in states]), is_over=False)
    finally:
        reader.close()


def _open(runs: Path) -> "StoreReader":
    from trainer.store.connect import connect_reader
    from trainer.store.reader import StoreReader

    return StoreReader(connect_reader(store_file(runs), timeout_seconds=_BUSY_SECONDS), runs)


def _counts(states: list[str]) -> str:
    """How many runs are in which state, where none is live."""
    from simclr_tui.format import SIGNS

    if not states:
        return "no run yet"
    order = ("queued", "paused", "stopped", "finished", *_TROUBLE)
    counts = {state: states.count(state) for state in order}
    return " · ".join(f"{SIGNS[state]} {count} {state}" for state, count in counts.items() if count)


def _values(reader: "StoreReader", run: "Run", state: str) -> dict[str, str]:
    """What the format can name, of one run."""
    from simclr_tui.format import SIGNS, UNKNOWN, duration, number, percent

    done = run.step / run.total_steps if run.step is not None and run.total_steps else None
    total = round(run.total_steps / run.steps_per_epoch) if run.total_steps and run.steps_per_epoch else None
    sample = reader.latest_device_sample()
    return {
        "sign": SIGNS[state],
        "name": run.name,
        "id": run.id,
        "state": state,
        "done": UNKNOWN if done is None else f"{100 * done:.0f} %",
        "epoch": UNKNOWN if run.epoch is None else f"{run.epoch}/{total or UNKNOWN}",
        "loss": number(run.loss, 2),
        "knn": percent(run.knn_top1, 0),
        "left": duration(_seconds_left(reader, run)),
        "device": _device(sample),
        "util": _util(sample),
        "health": run.health_level or UNKNOWN,
    }


def _seconds_left(reader: "StoreReader", run: "Run") -> float | None:
    """As the dashboard counts it: steps that are left, at the pace of the latest epochs."""
    if run.step is None or not run.total_steps or not run.steps_per_epoch or not run.epoch:
        return None
    rows = reader.epochs(run.id, after=max(0, run.epoch - _LATEST_EPOCHS - 1))
    times = [row["t_epoch"] for row in rows if row["t_epoch"] is not None][-_LATEST_EPOCHS:]
    return (run.total_steps - run.step) / run.steps_per_epoch * sum(times) / len(times) if times else None


def _is_fresh(sample: Mapping[str, Any] | None) -> bool:
    return sample is not None and time.time() - sample["at"] <= _SAMPLE_SECONDS


def _device(sample: Mapping[str, Any] | None) -> str:
    return "CPU" if sample is not None and sample["source"] == "cpu" else "GPU"


def _util(sample: Mapping[str, Any] | None) -> str:
    from simclr_tui.format import UNKNOWN

    if sample is None or not _is_fresh(sample):
        return UNKNOWN
    value = sample["cpu_percent"] if sample["source"] == "cpu" else sample["gpu_util"]
    return UNKNOWN if value is None else f"{value:.0f} %"
