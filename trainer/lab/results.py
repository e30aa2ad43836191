"""What was measured of each trial, from the rows of the store."""

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.lab.statistics import Interval, Spread, comparisons, ratio_interval, spread
from trainer.store.records import TrialRow

FIGURES = (
    *("t_batch", "t_batch_next", "t_data", "t_data_next", "t_epoch", "t_epoch_next"),
    *("images_per_second", "gpu_util", "idle"),
)
"""Columns of a trial's rows that have a median and a spread over rounds; seconds, images/s, percent, 0 to 1."""
_BESIDE_SECONDS = 10.0
"""That a turn may take for making its network and its loader, beside what its row tells of."""


@dataclass(frozen=True, slots=True)
class Result:
    """One trial over its rounds."""

    number: int
    name: str
    settings: dict[str, Any]
    """As in Trial."""
    rounds: tuple[int, ...]
    """Those that count."""
    spreads: Mapping[str, Spread]
    """By figure; those that were measured."""
    costs: Mapping[int, float]
    """Seconds per image in the next epoch by round: what trials are compared by, whatever their batches."""
    steps: int | None = None
    """Steps of each epoch."""
    warmup_seconds: float | None = None
    """What came before the first step that counts (round 0)."""
    host_memory_bytes: int | None = None
    """The most of all rounds."""
    device_memory_bytes: int | None = None
    error: str | None = None
    """Why it could not be run, or not to its end."""
    dropped: tuple[tuple[int, str], ...] = ()
    """Rounds that do not count, with their reasons."""

    def median(self, figure: str) -> float | None:
        """The median of a figure over the rounds that count."""
        found = self.spreads.get(figure)
        return None if found is None else found.median

    @property
    def cost(self) -> float | None:
        """Median of the seconds per image; None where there is no round that counts."""
        return statistics.median(self.costs.values()) if self.costs else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a benchmark is."""

    trial: int | None
    """Which one runs; None where none does."""
    round: int | None
    done: int
    """Turns (a trial in a round) that are over, those that failed not counted."""
    planned: int
    """Turns that there will be, those that are over counted too."""
    seconds_left: float | None
    """Until it ends; None where nothing is known."""


def results_of(rows: Sequence[TrialRow]) -> list[Result]:
    """A result per trial that has rows, by number."""
    by_trial: dict[int, list[TrialRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.trial, row.round)):
        by_trial[row.trial].append(row)
    return [_result(number, own) for number, own in by_trial.items()]


def costs_of(rows: Sequence[TrialRow]) -> dict[int, dict[int, float]]:
    """Seconds per image by round, of each trial that did not fail and has a round that counts."""
    failed = {row.trial for row in rows if row.error}
    costs: dict[int, dict[int, float]] = defaultdict(dict)
    for row in rows:
        cost = _cost(row)
        if cost is not None and row.trial not in failed:
            costs[row.trial][row.round] = cost
    return dict(costs)


def best_of(results: Sequence[Result], fewest: int = 1) -> Result | None:
    """The trial with the lowest median cost among those that have so many rounds and did not fail.

    Args:
        results: of the trials.
        fewest: rounds that count.
    """
    able = [(result.cost, result.number, result) for result in judged(results) if len(result.costs) >= fewest]
    return min(able, key=lambda one: one[:2])[2] if able else None


def judged(results: Sequence[Result]) -> list[Result]:
    """The trials that did not fail and have a round that counts."""
    return [result for result in results if result.costs and not result.error]


def ratios(results: Sequence[Result], reference: Result) -> dict[int, Interval | None]:
    """Interval of each trial's time per image over the reference's, by number: below 1 is faster.

    Corrected for all pairs of the trials that did not fail. None where there are too few rounds; the reference itself
    has no entry.
    """
    able = judged(results)
    pairs = comparisons(len(able))
    return {
        result.number: ratio_interval(result.costs, reference.costs, pairs)
        for result in able
        if result.number != reference.number
    }


def seconds_of(rows: Sequence[TrialRow]) -> dict[int, float]:
    """Wall seconds that a turn of each trial takes, by number.

    From the times at which rows were written: the lower median, and never more than its figures can account for, so
    that a pause between two rows is taken for none, be it in the first round.
    """
    warmups = {row.trial: row.warmup_seconds or 0.0 for row in rows if not row.round}
    gaps: dict[int, list[float]] = defaultdict(list)
    before: float | None = None
    for at, _, _, row in sorted((row.at, row.round, row.trial, row) for row in rows if row.at is not None):
        if before is not None and row.round and not row.error:
            gaps[row.trial].append(min(at - before, _longest(row, warmups.get(row.trial, 0.0))))
        before = at
    return {trial: statistics.median_low(values) for trial, values in gaps.items()}


def _longest(row: TrialRow, warmup: float) -> float:
    """Seconds that a turn took at most, by its figures; infinite where they are not known."""
    steps = [row.t_batch, row.t_data, row.t_batch_next, row.t_data_next]
    known = [seconds for seconds in steps if seconds is not None]
    if row.steps is None or len(known) < len(steps):
        return math.inf
    return _BESIDE_SECONDS + 2 * (row.steps * sum(known) + warmup)


def turn_seconds(seconds: Mapping[int, float], trial: int) -> float:
    """Wall seconds of a turn of a trial; of one that none is known of, those of the slowest."""
    return seconds.get(trial, max(seconds.values(), default=0.0))


def progress(rows: Sequence[TrialRow], turns: Sequence[tuple[int, int]], now: float) -> Progress:
    """Where it is and when it ends.

    Args:
        rows: of the store.
        turns: (trial, round) that are still to come, the one under way first (`Schedule.rest`).
        now: UTC seconds.
    """
    done = sum(1 for row in rows if row.round and not row.error)
    if not turns:
        return Progress(None, None, done, done, 0.0)
    seconds = seconds_of(rows)
    left = None
    if seconds:
        expected = [turn_seconds(seconds, trial) for trial, _ in turns]
        since = max(0.0, now - max(row.at for row in rows if row.at is not None))
        left = sum(expected) - min(since, expected[0])
    return Progress(*turns[0], done, done + len(turns), left)


def _result(number: int, rows: list[TrialRow]) -> Result:
    counted = [row for row in rows if _counts(row)]
    warmups = [row.warmup_seconds for row in rows if row.warmup_seconds is not None]
    spreads = {figure: spread(_known(counted, figure)) for figure in FIGURES}
    return Result(
        number=number,
        name=next((row.name for row in rows if row.name), f"trial {number}"),
        settings=_settings(rows[0].settings),
        rounds=tuple(row.round for row in counted),
        spreads={figure: found for figure, found in spreads.items() if found is not None},
        costs={row.round: cost for row in counted if (cost := _cost(row)) is not None},
        steps=next((row.steps for row in counted if row.steps), None),
        warmup_seconds=warmups[0] if warmups else None,
        host_memory_bytes=max(_known(rows, "host_memory_bytes"), default=None),
        device_memory_bytes=max(_known(rows, "device_memory_bytes"), default=None),
        error=next((row.error for row in rows if row.error), None),
        dropped=tuple((row.round, row.dropped) for row in rows if row.dropped),
    )


def _counts(row: TrialRow) -> bool:
    return bool(row.round) and not row.error and not row.dropped


def _cost(row: TrialRow) -> float | None:
    """Seconds per image of a row that counts; None where it has none that a clock could have measured."""
    speed = row.images_per_second
    return 1 / speed if _counts(row) and speed is not None and 0 < speed < math.inf else None


def _known(rows: Sequence[TrialRow], column: str) -> list[Any]:
    values = [getattr(row, column) for row in rows]
    return [value for value in values if value is not None and math.isfinite(value)]


def _settings(text: str) -> dict[str, Any]:
    """The settings as they were stored; none where a hand has changed them to something else."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
