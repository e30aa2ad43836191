"""A benchmark as it is looked at: its trials, what was measured of them, the verdict and when it ends. Pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.benchmark_config import BenchmarkConfig
from trainer.changes import as_options
from trainer.config import PretrainConfig
from trainer.devices import gpus
from trainer.lab.halving import Dropped, schedule
from trainer.lab.results import Progress, Result, progress, ratios, results_of
from trainer.lab.statistics import Interval
from trainer.lab.trials import Trial, current, plan, scale_words, scaled
from trainer.lab.verdict import Verdict, verdict
from trainer.settings import fields_of
from trainer.store.records import Event, Run, TrialRow

_CPU = "CPU"
_VERDICT, _MACHINE = "verdict", "benchmark-machine"
"""Kinds of the events in which the trainer says what it found, and on what."""
_SCALED = ("batch_size",)
"""Varied settings whose values a scale changes, so that a scaled benchmark recommends none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One trial, with all that is said of it."""

    trial: Trial
    result: Result | None
    """None before its first row."""
    to_current: Interval | None
    """Of its time per image over that of the current settings; None where too few rounds can tell."""
    to_best: Interval | None
    """The same over that of the fastest trial."""
    dropped: str
    """Why successive halving went on without it; empty where it did not."""
    is_current: bool
    """Whether all trials are compared with it."""
    is_best: bool
    reference: str = "the current settings"
    """What the trial that all are compared with is called."""

    @property
    def error(self) -> str:
        """Why it could not be run; empty where it could."""
        return self.trial.error or (self.result.error if self.result else None) or ""

    def median(self, figure: str) -> float | None:
        """The median of a figure (trainer.lab.results.FIGURES) over its rounds."""
        return self.result.median(figure) if self.result else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What is known of a benchmark."""

    run: Run
    config: BenchmarkConfig
    lines: Sequence[Line]
    verdict: Verdict
    progress: Progress
    read_at: float
    """UTC seconds at which `progress` was true."""
    scale_words: str
    """What a scale other than 1 makes of the settings, in a sentence."""
    rounds: int
    """Rounds that are wanted."""
    said: str
    """The verdict in words: that of the trainer at its end, which knew the machine's memory, else what follows here."""
    machine: str
    """What it was measured on and with, as the trainer noted it."""
    failure: str
    """Why its trainer failed, if it did."""

    @property
    def ends_at(self) -> float | None:
        """When it will be over if nothing is paused, in UTC seconds."""
        left = self.progress.seconds_left
        return None if left is None else self.read_at + left

    @property
    def under_way(self) -> Line | None:
        """The trial whose turn it is."""
        return next((line for line in self.lines if line.trial.number == self.progress.trial), None)

    @property
    def best(self) -> Line | None:
        """The fastest trial so far."""
        return next((line for line in self.lines if line.is_best), None)

    @property
    def current(self) -> Line | None:
        """The settings that all trials are compared with."""
        return next((line for line in self.lines if line.is_current), None)

    @property
    def apply(self) -> dict[str, Any]:
        """Settings that the verdict recommends and that can't change a result."""
        free = {field.name for field in fields_of(PretrainConfig) if not field.setting.results}
        return {name: value for name, value in self.verdict.apply.items() if name in free}

    @property
    def fork(self) -> dict[str, Any]:
        """Settings that the verdict recommends and that make another experiment, hence are for a fork."""
        left_out = _SCALED if self.config.scale != 1 else ()
        return {name: value for name, value in self.verdict.fork.items() if name not in left_out}


@dataclass(frozen=True, slots=True)
class BenchLook:
    """What the feed has read of a benchmark."""

    run_id: str
    bench: Bench | None
    problem: str = ""
    """Why nothing can be said of it, in a sentence."""


def look(run: Run, rows: Sequence[TrialRow], events: Sequence[Event], now: float) -> Bench:
    """What the rows of a benchmark say.

    Args:
        run: of the kind benchmark.
        rows: its trials, as the store has them.
        events: its events, the oldest first.
        now: UTC seconds.

    Raises:
        ConfigError: the settings that the store keeps can't be used.
    """
    config = BenchmarkConfig.from_json(run.config)
    on_cuda = is_on_cuda(config, run.device)
    trials = plan(config, on_cuda=on_cuda)
    number = current(config)
    results = results_of(rows)
    plan_of_turns = schedule(config, trials, number)
    dropped = plan_of_turns.dropped(rows)
    base = scaled(config.base_config, config.scale)
    found = verdict(results, base, on_cuda=on_cuda, current=number, dropped=dropped)
    last = {event.kind: event.message for event in events}
    return Bench(
        run=run,
        config=config,
        lines=_lines(trials, results, number, dropped, found.best),
        verdict=found,
        progress=progress(rows, plan_of_turns.rest(rows, run.trained_seconds or 0.0), now),
        read_at=now,
        scale_words=scale_words(config.base_config, config.scale),
        rounds=plan_of_turns.rounds,
        said=last.get(_VERDICT, found.text) if run.lifecycle == "finished" else found.text,
        machine=last.get(_MACHINE, ""),
        failure=next((e.message for e in reversed(events) if e.level == "error"), "")
        if run.lifecycle == "failed"
        else "",
    )


def is_on_cuda(config: BenchmarkConfig, device: str | None = None) -> bool:
    """Whether the trials run on a CUDA device; without the name of the one that they ran on, whether they would."""
    return not device.startswith(_CPU) if device else config.device != "cpu" and bool(gpus())


def check_plan(config: BenchmarkConfig) -> None:
    """See that a new benchmark has trials.

    Raises:
        ConfigError: what is to be varied is wrong.
    """
    plan(config, on_cuda=is_on_cuda(config))


def _lines(
    trials: Sequence[Trial],
    results: Sequence[Result],
    number: int,
    dropped: Sequence[Dropped],
    best: Result | None,
) -> tuple[Line, ...]:
    by_number = {result.number: result for result in results}
    is_of_base = all(not trial.settings for trial in trials if trial.number == number)
    to_current = _against(results, by_number.get(number))
    to_best = _against(results, best)
    gone = {one.trial: one.reason for one in dropped}
    return tuple(
        Line(
            trial=trial,
            result=by_number.get(trial.number),
            to_current=to_current.get(trial.number),
            to_best=to_best.get(trial.number),
            dropped=gone.get(trial.number, ""),
            is_current=trial.number == number,
            is_best=best is not None and trial.number == best.number,
            reference="the current settings" if is_of_base else "the reference",
        )
        for trial in trials
    )


def _against(results: Sequence[Result], reference: Result | None) -> Mapping[int, Interval | None]:
    return ratios(results, reference) if reference is not None and reference.costs else {}


def fork_command(run: Run, settings: Mapping[str, Any]) -> str:
    """The command that makes a child of a run with these settings."""
    config = dataclasses.replace(PretrainConfig.from_json(run.config), **settings)
    fields = [field for field in fields_of(PretrainConfig) if field.name in settings]
    return f"simclr-tui fork {run.id} {as_options(config, fields)}"
