"""The ranks of a run that several processes train: each one's device and step, and whom the others wait for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from simclr_tui.format import UNKNOWN, duration, number, size
from trainer.straggler import Straggler, find_straggler, own_seconds

HEADING = ("", "rank", "host", "device", "util", "memory", "power", "own step", "waits")
RIGHT = (1, 4, 5, 6, 7, 8)
"""Columns that are numbers."""
SIGN = "▲"
"""Before the rank that the others wait for."""
_SILENT_SECONDS = 15.0
"""Behind the newest row of any rank."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankLook:
    """One rank; None where a figure is not known."""

    rank: int
    host: str
    device: str
    util: float | None
    """Percent; of the whole machine's processors where the device is one."""
    memory_bytes: int | None
    """Of the GPU; of the process where the device is a CPU."""
    power_watts: float | None
    own_seconds: float | None
    """Of a step, without the time in collectives: the median of the last two minutes."""
    collective_seconds: float | None
    """Of a step in collectives, where it waits for the others and exchanges with them; the same."""
    silent_seconds: float
    """How long nothing has come of it while others told of themselves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RanksLook:
    """All ranks of a run."""

    ranks: tuple[RankLook, ...] = ()
    """Empty where one process trains it."""
    straggler: Straggler | None = None


def look_at_ranks(rows: Sequence[Mapping[str, Any]]) -> RanksLook:
    """What rows of `rank_samples` say; the last two minutes of them, the oldest first."""
    newest = max((row["at"] for row in rows), default=0.0)
    by_rank: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_rank.setdefault(row["rank"], []).append(row)
    return RanksLook(
        ranks=tuple(_rank(by_rank[one], newest) for one in sorted(by_rank)),
        straggler=find_straggler(rows),
    )


def _rank(rows: Sequence[Mapping[str, Any]], newest: float) -> RankLook:
    last = rows[-1]
    is_cpu = last["source"] == "cpu"
    return RankLook(
        rank=last["rank"],
        host=last["host"] or "",
        device=last["device"] or "",
        util=last["gpu_util"],
        memory_bytes=last["process_memory_bytes"] if is_cpu else last["gpu_memory_bytes"],
        power_watts=last["power_watts"],
        own_seconds=_middle([own_seconds(row) for row in rows]),
        collective_seconds=_middle([row["t_collective"] for row in rows]),
        silent_seconds=newest - last["at"],
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def straggler_words(look: RanksLook) -> str:
    """Who makes the others wait, and what that costs; empty where nobody does."""
    found = look.straggler
    if found is None:
        return ""
    longer = f"{100 * found.slowdown:.0f} %"
    return f"{SIGN} rank {found.rank} is slower and the others wait for it: a step takes {longer} longer"


def rank_rows(look: RanksLook) -> list[list[str]]:
    """A line of cells for each rank, under `HEADING`."""
    return [_row(one, look.straggler) for one in look.ranks]


def _row(one: RankLook, straggler: Straggler | None) -> list[str]:
    sign = SIGN if straggler is not None and straggler.rank == one.rank else ""
    where = [sign, str(one.rank), one.host or UNKNOWN, one.device or UNKNOWN]
    if one.silent_seconds > _SILENT_SECONDS:
        return [*where, f"silent for {duration(one.silent_seconds)}", *[UNKNOWN] * (len(HEADING) - 5)]
    return [
        *where,
        f"{one.util:.0f} %" if one.util is not None else UNKNOWN,
        size(one.memory_bytes),
        f"{one.power_watts:.0f} W" if one.power_watts is not None else UNKNOWN,
        milliseconds(one.own_seconds),
        milliseconds(one.collective_seconds),
    ]


def milliseconds(seconds: float | None) -> str:
    """Of a step."""
    return UNKNOWN if seconds is None else f"{number(1000 * seconds)} ms"


def short_rows(look: RanksLook, width: int, room: int) -> list[str]:
    """The ranks in a few lines below a chart, the one that the others wait for first, and then as many as fit.

    Args:
        look: the ranks.
        width: cells of a line.
        room: lines at most.
    """
    found = look.straggler
    lines = [f"{SIGN} all wait for rank {found.rank}: steps +{100 * found.slowdown:.0f} %"] if found is not None else []
    left = room - len(lines)
    slow = found.rank if found is not None else None
    ranks = sorted(look.ranks, key=lambda one: (one.rank != slow, one.rank)) if left < len(look.ranks) else look.ranks
    shown = ranks if len(ranks) <= left else ranks[: max(min(1, left), left - 1)]
    lines += [_short(one, found, width) for one in shown]
    if len(shown) < len(ranks) and left > len(shown):
        lines.append(f"  and {len(ranks) - len(shown)} ranks more")
    return [line[:width] for line in lines[:room]]


def _short(one: RankLook, straggler: Straggler | None, width: int) -> str:
    """As much of a rank as fits a line, the most telling figures first."""
    sign, _, _, _, util, memory, power, own, waits = _row(one, straggler)
    line = f"{sign or ' '} rank {one.rank}  {util}"
    times = [f"{own} own", f"{waits} waits"] if own != UNKNOWN else []
    for more in (*times, memory, power):
        if more != UNKNOWN and len(line) + 3 + len(more) <= width:
            line += f" · {more}"
    return line
