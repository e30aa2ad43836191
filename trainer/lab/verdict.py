"""What the figures of a benchmark say, in words; docs/laboratory.md states the rules."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.config import PretrainConfig
from trainer.lab import rules
from trainer.lab.fit import Room
from trainer.lab.halving import Dropped, rounds_for
from trainer.lab.measured import Measured, measured
from trainer.lab.results import Result, best_of, judged
from trainer.lab.statistics import ratios
from trainer.lab.words import shortened


@dataclass(frozen=True, slots=True)
class Verdict:
    """Sentences, and what they recommend."""

    sentences: tuple[str, ...]
    best: Result | None
    """The fastest trial; before the verdict is final the one that is ahead."""
    is_final: bool
    """Whether there are rounds enough for a verdict; else the sentences say so far."""
    apply: dict[str, Any] = field(default_factory=dict)
    """Settings that make the run faster and can't change its result; empty where none was found."""
    fork: dict[str, Any] = field(default_factory=dict)
    """All settings of the fastest trial that the run does not have, where some of them change the result: another
    experiment. Empty where the fastest trial changes none, or is not faster than the current settings."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(self.sentences)


def verdict(
    results: Sequence[Result],
    base: PretrainConfig,
    *,
    on_cuda: bool,
    current: int = 1,
    room: Room | None = None,
    dropped: Sequence[Dropped] = (),
) -> Verdict:
    """What was found.

    Args:
        results: of the trials.
        base: the settings that the trials share, scaled as they were.
        on_cuda: whether they ran on a CUDA device.
        current: number of the trial that stands for the settings of today.
        room: memory that there is, for what the next gain needs.
        dropped: trials that successive halving left out.
    """
    needed = rounds_for(len(judged(results)))
    gone = {one.trial for one in dropped}
    waiting = [r for r in results if not r.error and r.number not in gone and _taken(r) < needed]
    found = measured(results, base, needed, current=current, on_cuda=on_cuda)
    remarks = (*_not_counted(results), *_left_out(results, dropped), *_failed(results))
    if waiting or found is None:
        return Verdict((_so_far(results, current, needed), *remarks), best_of(results), is_final=False)
    sentences = (
        rules.fastest(found),
        rules.workers(found),
        *rules.switches(found),
        *rules.others(found),
        *_starvation(found, on_cuda=on_cuda),
        rules.next_gain(found, room),
        *_too_few(results, needed, gone),
    )
    is_lost = found.current is None and not any(r.number == current and r.error for r in results)
    apply, fork = ({}, {}) if is_lost else _recommended(found)
    told = tuple(sentence for sentence in sentences if sentence)
    return Verdict((*told, *remarks), found.fastest, is_final=True, apply=apply, fork=fork)


def _taken(result: Result) -> int:
    """Rounds that were taken, whether or not they count."""
    return len(result.rounds) + len([number for number, _ in result.dropped if number])


def _so_far(results: Sequence[Result], current: int, needed: int) -> str:
    """Who is ahead, without an interval."""
    ahead = best_of(results)
    if ahead is None:
        return "No turn counts so far." if any(map(_taken, results)) else "Nothing has been measured yet."
    rounds = min(len(result.costs) for result in judged(results))
    head = f"So far, after {rounds} of the {needed} rounds that a verdict needs"
    today = next((result for result in judged(results) if result.number == current), None)
    if today is None or today is ahead:
        return f"{head}, {ahead.name} is ahead{' (the current settings)' if today is ahead else ''}."
    paired = ratios(today.costs, ahead.costs)
    speed = f": {statistics.median(paired):.2f} × the images per second of {today.name}" if paired else ""
    return f"{head}, {ahead.name} is ahead{speed}."


def _starvation(found: Measured, *, on_cuda: bool) -> list[str]:
    """Of the current settings, and of the fastest trial where it is another one."""
    wanted = dict.fromkeys(result.number for result in (found.current, found.fastest) if result is not None)
    by_number = {result.number: result for result in found.results}
    return [rules.starvation(by_number[number], found.configs[number], on_cuda=on_cuda) for number in wanted]


def _recommended(found: Measured) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings to apply to the run, and those for a fork; where the current ones failed, of the fastest that did not.

    What was compared with other settings than the run's (a preset's) says nothing about applying it to the run.
    """
    current = found.current
    faster = [result for result in found.results if current is None or found.is_gain(result, current)]
    safe = [result for result in faster if not rules.changes_results(found.changes(result))]
    can_apply = safe and (current is None or found.is_of_base)
    has_fork = found.fastest in faster and found.fastest not in safe
    return found.changes(safe[0]) if can_apply else {}, found.changes(found.fastest) if has_fork else {}


def _not_counted(results: Sequence[Result]) -> list[str]:
    reasons = Counter(reason for result in results for _, reason in result.dropped)
    words = [f"{count} ({reason.rstrip('.')})" for reason, count in reasons.most_common()]
    return [f"Turns that are not counted: {shortened(words)}."] if words else []


def _left_out(results: Sequence[Result], dropped: Sequence[Dropped]) -> list[str]:
    names = {result.number: result.name for result in results}
    words = [f"{names.get(one.trial, f'trial {one.trial}')} ({one.reason})" for one in dropped]
    return [f"Left out early: {shortened(words)}."] if words else []


def _too_few(results: Sequence[Result], needed: int, gone: set[int]) -> list[str]:
    words = [
        f"{result.name} ({len(result.costs)} of {needed})"
        for result in results
        if not result.error and result.number not in gone and len(result.costs) < needed
    ]
    return [f"Too few rounds count of {shortened(words)}."] if words else []


def _failed(results: Sequence[Result]) -> list[str]:
    words = [f"{result.name} ({result.error.rstrip('.')})" for result in results if result.error]
    return [f"Not measured: {shortened(words)}."] if words else []
