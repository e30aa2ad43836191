"""Which trial is taken next: all as often as each other, or fewer and fewer by successive halving.

A schedule has no state: it is asked with the rows of the store, so a benchmark that was interrupted goes on where its
rows end. A round takes its trials in the order of their numbers (A B C A B C).
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from trainer.benchmark_config import FEWEST_ROUNDS, BenchmarkConfig
from trainer.lab.results import costs_of, seconds_of, turn_seconds
from trainer.lab.statistics import comparisons, ratios, rounds_needed
from trainer.lab.trials import Trial
from trainer.store.records import TrialRow

FINALISTS = 2
"""Trials that are left beside the current one when the halving ends."""
_MAKE_UP = 2
"""Rounds that don't count are made up for, by at most one more for so many."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A trial that successive halving goes on without."""

    trial: int
    after_round: int
    reason: str


class Schedule(Protocol):
    """Says what is to be taken."""

    rounds: int
    """Rounds that are wanted of each trial (of the finalists)."""

    def next(self, done: Sequence[TrialRow], seconds_used: float = 0.0) -> tuple[int, int] | None:
        """(trial, round) to take, round counted from 1; None where it is over.

        Args:
            done: rows of the store. A trial that has a row with an error, in whatever round, is not taken again.
            seconds_used: wall seconds that the benchmark has taken, pauses left out; where it is less than the rows
                tell of, these are believed.
        """
        ...

    def rest(self, done: Sequence[TrialRow], seconds_used: float = 0.0) -> list[tuple[int, int]]:
        """The turns that are still to come, as far as can be foreseen, the next one first."""
        ...

    def dropped(self, done: Sequence[TrialRow]) -> list[Dropped]:
        """Trials that are no longer taken though they did not fail, in the order in which they went."""
        ...


def schedule(config: BenchmarkConfig, trials: Sequence[Trial], current: int = 1) -> Schedule:
    """The schedule that a benchmark asks for: `auto` halves, else every trial is taken in every round.

    Args:
        config: what is asked for.
        trials: of `plan`; those with an error are never taken.
        current: the trial that all are compared with, which is never left out.
    """
    able = [trial.number for trial in trials if trial.error is None]
    kind = Halving if config.auto else EveryTrial
    return kind(able, config.rounds or rounds_for(len(able)), 60 * config.budget_minutes, current)


def seconds_for_a_verdict(config: BenchmarkConfig, trials: Sequence[Trial], done: Sequence[TrialRow]) -> float:
    """About how many more wall seconds a verdict takes, were there no budget.

    Args:
        config: what is asked for.
        trials: of `plan`.
        done: rows of the store.
    """
    able = [trial.number for trial in trials if trial.error is None]
    kind = Halving if config.auto else EveryTrial
    turns = kind(able, max(config.rounds, rounds_for(len(able)))).rest(done)
    seconds = seconds_of(done)
    return sum(turn_seconds(seconds, trial) for trial, _ in turns)


def rounds_for(trials: int) -> int:
    """Rounds after which a verdict about so many trials can be given."""
    return max(FEWEST_ROUNDS, rounds_needed(comparisons(trials)))


class EveryTrial:
    """All trials, the same number of rounds each."""

    def __init__(self, trials: Sequence[int], rounds: int, budget_seconds: float = 0.0, current: int = 1) -> None:
        """Args: the trials' numbers, the rounds that are to count of each, the wall seconds that there are (0: as many
        as it takes), and the trial that all are compared with."""
        self._trials = sorted(trials)
        self.rounds = rounds
        self._budget_seconds = budget_seconds
        self._current = current

    def next(self, done: Sequence[TrialRow], seconds_used: float = 0.0) -> tuple[int, int] | None:
        """As in `Schedule`."""
        return next(self._turns(done, seconds_used), None)

    def rest(self, done: Sequence[TrialRow], seconds_used: float = 0.0) -> list[tuple[int, int]]:
        """As in `Schedule`."""
        return list(self._turns(done, seconds_used))

    def dropped(self, done: Sequence[TrialRow]) -> list[Dropped]:  # noqa: ARG002 - as the protocol has it
        """As in `Schedule`; all are taken to the end."""
        return []

    def _members(self, done: Sequence[TrialRow], round_: int) -> list[int]:
        """The trials of a round, from the rows of the rounds before it; none where it is over."""
        members = _without_failed(self._trials, done)
        return members if self._is_wanted(members, done, round_) else []

    def _is_wanted(self, members: Iterable[int], done: Sequence[TrialRow], round_: int) -> bool:
        """Whether there are rounds to take yet, or too few of those that were taken count for all: pairs are compared
        in the rounds that both have."""
        if round_ <= self.rounds:
            return True
        counted: dict[int, set[int]] = defaultdict(set)
        for row in done:
            if row.round and not row.dropped:
                counted[row.round].add(row.trial)
        whole = sum(1 for trials in counted.values() if trials.issuperset(members))
        return round_ <= self.rounds + self.rounds // _MAKE_UP and whole < self.rounds

    def _turns(self, done: Sequence[TrialRow], seconds_used: float) -> Iterator[tuple[int, int]]:
        """The turns to come; the rows of those that nobody has taken yet are foreseen from the last ones."""
        rows = list(done)
        seconds = seconds_of(rows)
        used = max(seconds_used, sum(turn_seconds(seconds, row.trial) for row in rows if row.round))
        round_ = max(1, *(row.round for row in rows)) if rows else 1
        while members := self._members([row for row in rows if row.round < round_], round_):
            taken = {row.trial for row in rows if row.round == round_}
            failed = {row.trial for row in rows if row.error}
            members = [trial for trial in members if trial not in failed]
            left = [trial for trial in members if trial not in taken]
            needed = sum(turn_seconds(seconds, trial) for trial in left)
            if not taken and self._budget_seconds and used + needed > self._budget_seconds:
                return
            yield from ((trial, round_) for trial in left)
            rows += _foreseen(rows, left, round_, seconds)
            used += needed
            round_ += 1


class Halving(EveryTrial):
    """Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943) over wall time.

    Each rung takes about the same time: as many rounds as the rung before, times two, of half the trials. The slower
    half goes, by the median of the time per image over that of the current settings in the same round. Once `FINALISTS`
    are left beside the current settings, they are taken until their rounds are enough for a verdict. A rung is cut
    short where the finalists' rounds would not fit into the budget otherwise.

    Every decision is made from rows of earlier rounds alone, so it is the same one each time it is asked for.
    """

    def dropped(self, done: Sequence[TrialRow]) -> list[Dropped]:
        """As in `Schedule`."""
        last = max((row.round for row in done), default=0)
        members, gone = self._race(done, last)
        over = {row.trial for row in done if row.round == last or row.error}
        return self._race(done, last + 1)[1] if over.issuperset(members) else gone

    def _members(self, done: Sequence[TrialRow], round_: int) -> list[int]:
        members, _ = self._race(done, round_)
        return members if self._is_wanted(members, done, round_) else []

    def _race(self, done: Sequence[TrialRow], round_: int) -> tuple[list[int], list[Dropped]]:
        """Who is in a round and who went before it."""
        members, gone = list(self._trials), list[Dropped]()
        ends = 0
        for over in range(1, round_):
            rows = [row for row in done if row.round <= over]
            members = _without_failed(members, rows)
            seconds = seconds_of(rows)
            if over == 1:
                unit = self._unit(members, seconds)
                rung, ends = unit, unit
            if not self._has_too_many(members):
                break
            is_short = self._is_short(members, rows, seconds, over)
            if over < ends and not is_short:
                continue
            leaving = self._slowest(members, rows, over, until_it_fits=is_short, seconds=seconds)
            gone += leaving
            members = [trial for trial in members if trial not in {one.trial for one in leaving}]
            rung *= 2
            ends = over + rung
        return _without_failed(members, [row for row in done if row.round < round_]), gone

    def _has_too_many(self, members: Sequence[int]) -> bool:
        return len([trial for trial in members if trial != self._current]) > FINALISTS

    def _unit(self, members: Sequence[int], seconds: Mapping[int, float]) -> int:
        """Rounds of the first rung: the rungs may take what the finalists' rounds leave of the budget."""
        halvings = max(1, math.ceil(math.log2(max(1, len(members) - 1) / FINALISTS)))
        whole = sum(turn_seconds(seconds, trial) for trial in members)
        if not whole or not self._budget_seconds:
            return 1
        final = self._finalists_seconds(members, seconds)
        spare = (self._budget_seconds - self.rounds * final) / (halvings * whole)
        return max(1, min(int(spare), self.rounds >> halvings))

    def _finalists_seconds(self, members: Sequence[int], seconds: Mapping[int, float]) -> float:
        """Of a round of the finalists, were they the quickest."""
        others = sorted(turn_seconds(seconds, trial) for trial in members if trial != self._current)
        return turn_seconds(seconds, self._current) + sum(others[:FINALISTS])

    def _is_short(
        self, members: Sequence[int], rows: Sequence[TrialRow], seconds: Mapping[int, float], over: int
    ) -> bool:
        """Whether one more round of all of them would leave too little for the finalists."""
        if not self._budget_seconds or not seconds:
            return False
        used = sum(turn_seconds(seconds, row.trial) for row in rows if row.round)
        whole = sum(turn_seconds(seconds, trial) for trial in members)
        left_for_final = max(0, self.rounds - over - 1) * self._finalists_seconds(members, seconds)
        return used + whole + left_for_final > self._budget_seconds

    def _slowest(
        self,
        members: Sequence[int],
        rows: Sequence[TrialRow],
        over: int,
        *,
        until_it_fits: bool,
        seconds: Mapping[int, float],
    ) -> list[Dropped]:
        """The slower half of the challengers, or more where the time is short; those without a figure stay."""
        slowness = self._slowness(members, rows)
        staying, leaving = list(members), list[Dropped]()
        challengers = len([trial for trial in members if trial != self._current])
        keep = max(FINALISTS, math.ceil(challengers / 2))
        why = " and the time is short" if until_it_fits else ""
        for trial in sorted(slowness, key=lambda trial: (-slowness[trial], -trial)):
            is_enough = challengers <= keep and not (until_it_fits and self._is_short(staying, rows, seconds, over))
            if is_enough or challengers <= FINALISTS:
                break
            staying.remove(trial)
            challengers -= 1
            times = f"{over} round{'s' * (over > 1)}"
            reason = f"{slowness[trial]:.2f} × the time of {self._compared_with(rows)} after {times}{why}"
            leaving.append(Dropped(trial, over, reason))
        return leaving

    def _slowness(self, members: Sequence[int], rows: Sequence[TrialRow]) -> dict[int, float]:
        """Median of the time per image of each challenger over that of the current settings, by round.

        Where these were never measured the quickest stands for them.
        """
        costs = costs_of(rows)
        reference = costs.get(self._reference(costs), {})
        paired = {trial: ratios(costs.get(trial, {}), reference) for trial in members if trial != self._current}
        return {trial: statistics.median(values) for trial, values in paired.items() if values}

    def _reference(self, costs: Mapping[int, Mapping[int, float]]) -> int:
        """The current settings, or the fastest of those with the most rounds."""
        if self._current in costs or not costs:
            return self._current
        return min(costs, key=lambda trial: (-len(costs[trial]), statistics.median(costs[trial].values())))

    def _compared_with(self, rows: Sequence[TrialRow]) -> str:
        return "the current settings" if self._reference(costs_of(rows)) == self._current else "the fastest"


def _without_failed(trials: Iterable[int], rows: Sequence[TrialRow]) -> list[int]:
    failed = {row.trial for row in rows if row.error}
    return [trial for trial in trials if trial not in failed]


def _foreseen(
    rows: Sequence[TrialRow], trials: Sequence[int], round_: int, seconds: Mapping[int, float]
) -> list[TrialRow]:
    """Rows as they may be once a round has been taken: as the last ones that count."""
    last: dict[int, TrialRow] = defaultdict(lambda: TrialRow(run_id="", trial=0, round=0, name=None, settings="{}"))
    last |= {row.trial: row for row in sorted(rows, key=lambda row: row.round) if row.round and not row.dropped}
    at = max((row.at for row in rows if row.at is not None), default=0.0)
    found = []
    for trial in trials:
        at += turn_seconds(seconds, trial)
        found.append(replace(last[trial], trial=trial, round=round_, at=at, dropped=None))
    return found
