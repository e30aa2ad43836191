"""Which rank the others wait for. Pure, and needs no torch.

A rank's own time of a step is what it takes without the time in collectives. The rank with the longest is a straggler
where three things are so of the last two minutes:

- It alone makes steps at least 10 % longer than they would be if it were as quick as the median of the others. To ask
  how long a step would be without one worker's delay is the what-if analysis of Lin et al. 2025 (Understanding
  Stragglers in Large Model Training Using What-if Analysis, arXiv 2505.05713), who simulate it from traces; here it is
  taken from the medians, and the threshold is a choice of this project.
- That lasts: it is so in each third of the time.
- It is no chance: it is slower than the median of the others at so many moments that it would be for less than one in
  a thousand of such windows if each were a coin's toss, whichever rank it is (a sign test, with Bonferroni's
  correction for the number of ranks). That takes about a minute.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

WINDOW_SECONDS = 120.0
LEAST_SLOWDOWN = 0.10
MOST_CHANCE = 0.001
_THIRDS = 3

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Straggler:
    """A rank that the others wait for."""

    rank: int
    slowdown: float
    """How much longer a step takes than without its delay; 0.12 is 12 %."""
    delay_seconds: float
    """By which its own time of a step is longer than the median of the others'."""


def own_seconds(row: Mapping[str, Any]) -> float | None:
    """What a rank took for a step without the time in collectives; None where that is not known."""
    step, collective = row["t_step"], row["t_collective"]
    return None if step is None or collective is None else max(0.0, step - collective)


def find_straggler(rows: Rows) -> Straggler | None:
    """The rank that the others wait for by now, if there is one for long enough.

    Args:
        rows: of `rank_samples`, of one run; only the last two minutes of them are looked at.
    """
    known = [row for row in rows if own_seconds(row) is not None]
    newest = max((row["at"] for row in known), default=0.0)
    recent = [row for row in known if row["at"] > newest - WINDOW_SECONDS]
    ranks = {row["rank"] for row in recent}
    begin = min((row["at"] for row in recent), default=0.0)
    whole = _slowest(recent, ranks) if len(ranks) > 1 and newest > begin else None
    if whole is None or not _is_no_chance(recent, ranks, whole.rank):
        return None
    third = (newest - begin) / _THIRDS
    parts: list[list[Mapping[str, Any]]] = [[] for _ in range(_THIRDS)]
    for row in recent:
        parts[min(_THIRDS - 1, int((row["at"] - begin) / third))].append(row)
    for one in (_slowest(part, ranks) for part in parts):
        if one is None or one.rank != whole.rank or one.slowdown < LEAST_SLOWDOWN:
            return None
    return whole


def _is_no_chance(rows: Rows, ranks: set[int], rank: int) -> bool:
    """Whether a rank is slower than the median of the others more often than chance has it."""
    moments: dict[float, dict[int, float]] = {}
    for row in rows:
        moments.setdefault(row["at"], {})[row["rank"]] = own_seconds(row) or 0.0
    whole = [own for own in moments.values() if own.keys() == ranks]
    slower = sum(own[rank] > median(value for one, value in own.items() if one != rank) for own in whole)
    count = len(whole)
    chance: float = sum(math.comb(count, times) for times in range(slower, count + 1)) / 2**count
    return len(ranks) * chance < MOST_CHANCE


def _slowest(rows: Rows, ranks: set[int]) -> Straggler | None:
    """The rank with the longest own time; None where a rank is not known there."""
    own: dict[int, list[float]] = {rank: [] for rank in ranks}
    for row in rows:  # once for all ranks: this is done at every look, and of many ranks there are many rows
        own[row["rank"]].append(own_seconds(row) or 0.0)
    if not all(own.values()):
        return None
    times = {rank: median(values) for rank, values in own.items()}
    rank = max(times, key=lambda one: times[one])
    delay = times[rank] - median(seconds for one, seconds in times.items() if one != rank)
    step = median(row["t_step"] for row in rows if row["rank"] == rank)
    without = step - delay
    return Straggler(rank=rank, slowdown=delay / without, delay_seconds=delay) if without > 0 else None
