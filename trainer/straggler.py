"""Which rank the others wait for. Pure, and needs no torch.

A rank's own time of a step is what it takes without the time in collectives. The rank with the longest is a straggler
where it alone makes steps at least 10 % longer than they would be with the median of the others, which is what Lin et
al. 2025 (Understanding Stragglers in Large Model Training Using What-if Analysis, arXiv 2505.05713) call the slowdown
and from where on they count a job as straggling; and where that lasts: the same rank in each third of the last two
minutes, of which there must be half a minute at least.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

WINDOW_SECONDS = 120.0
LEAST_SECONDS = 30.0
"""What there must be of samples before anybody is named."""
LEAST_SLOWDOWN = 0.10
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
    if len(ranks) < 2 or newest - begin < LEAST_SECONDS:
        return None
    third = (newest - begin) / _THIRDS
    parts: list[list[Mapping[str, Any]]] = [[] for _ in range(_THIRDS)]
    for row in recent:
        parts[min(_THIRDS - 1, int((row["at"] - begin) / third))].append(row)
    found = [_slowest(part, ranks) for part in parts]
    whole = _slowest(recent, ranks)
    if whole is None or any(one is None or one.rank != whole.rank for one in found):
        return None
    return whole if all(one.slowdown >= LEAST_SLOWDOWN for one in found if one is not None) else None


def _slowest(rows: Rows, ranks: set[int]) -> Straggler | None:
    """The rank with the longest own time; None where a rank is not known there."""
    own = {rank: [own_seconds(row) or 0.0 for row in rows if row["rank"] == rank] for rank in ranks}
    if not all(own.values()):
        return None
    times = {rank: median(values) for rank, values in own.items()}
    rank = max(times, key=lambda one: times[one])
    delay = times[rank] - median(seconds for one, seconds in times.items() if one != rank)
    step = median(row["t_step"] for row in rows if row["rank"] == rank)
    without = step - delay
    return Straggler(rank=rank, slowdown=delay / without, delay_seconds=delay) if without > 0 else None
