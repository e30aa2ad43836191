"""Ratios of times as people say them."""

from collections.abc import Iterable, Sequence

from trainer.lab.statistics import Interval, no_difference

_TIMES = 2.0
"""From so many times the time on, a slowdown is told in times and not in percent."""
_FACTOR = 1.1
"""From so much on, a speed-up is told in times and not in percent."""
_WIDE = 3.0
"""An interval that reaches so far is told in times, wherever it begins."""


def compared(interval: Interval) -> str:
    """How a trial's time per image compares with the reference's.

    Args:
        interval: of its time over the reference's.

    Returns:
        `slower by 31–35 %` (more time per image), `2.1–2.4 × as fast`, `faster by 3–5 %` (more images a second), or
        `no difference found (0.97–1.04)`.
    """
    if interval.includes_one:
        return no_difference(interval)
    if interval.low > 1:
        if interval.low >= _TIMES or interval.high >= _WIDE:
            return f"{gain(interval)} as slow"
        return f"slower by {_percent(interval)} %"
    speed = interval.inverse()
    is_in_times = speed.low >= _FACTOR or speed.high >= _WIDE
    return f"{gain(speed)} as fast" if is_in_times else f"faster by {_percent(speed)} %"


def gain(speed: Interval) -> str:
    """A speed-up in times: `2.1–2.4 ×`."""
    return f"{between(speed.low, speed.high, 1 if speed.low >= _TIMES else 2)} ×"


def between(low: float, high: float, digits: int) -> str:
    """Two numbers as a range, with a digit more where they would read the same; one number where they still do."""
    for places in (digits, digits + 1):
        ends = f"{low:.{places}f}", f"{high:.{places}f}"
        if ends[0] != ends[1]:
            return "–".join(ends)
    return ends[0]


def listed(words: Iterable[str]) -> str:
    """Words with commas, and `and` before the last."""
    found = list(words)
    return " and ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def shortened(words: Sequence[str], most: int = 6) -> str:
    """The first of them with semicolons between, and how many more there are."""
    more = f"; and {len(words) - most} more" if len(words) > most else ""
    return "; ".join(words[:most]) + more


def _percent(interval: Interval) -> str:
    low, high = 100 * (interval.low - 1), 100 * (interval.high - 1)
    return between(low, high, 0 if low >= 10 else 1)
