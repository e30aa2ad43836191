"""How well a ratio of two times is known, without a word about how the times are distributed.

Times of a shared machine are skewed, have outliers and drift, so neither a mean nor a bootstrap of ten values says much
about them. What holds is the order: if the ratios of the rounds are independent and their median is m, each lies below
m with a chance of one half, and how many do is binomial. The interval between the j-th smallest and the j-th largest of
n ratios then covers m with a chance of exactly 1 − 2·P(Bin(n, ½) < j) (the sign test; Conover, Practical Nonparametric
Statistics, section 3.2). Drift that is slower than a round falls out, since both times of a ratio are of one round.
"""

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEVEL = 0.95
"""Chance that all intervals of a benchmark hold together."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of one trial lie; all in the unit of the values."""

    median: float
    low: float
    """The smallest."""
    high: float
    """The largest."""
    lower_quartile: float
    upper_quartile: float
    count: int


@dataclass(frozen=True, slots=True)
class Interval:
    """What the median of paired ratios lies between."""

    low: float
    high: float
    median: float
    """Median of the ratios that were measured."""
    coverage: float
    """Chance that this one holds the median; what was asked of all together is shared among the comparisons."""
    count: int
    """Ratios, one a round."""

    @property
    def includes_one(self) -> bool:
        """Whether no difference was found."""
        return self.low <= 1 <= self.high

    def inverse(self) -> "Interval":
        """The interval of the ratio the other way round."""
        return Interval(1 / self.high, 1 / self.low, 1 / self.median, self.coverage, self.count)


def spread(values: Iterable[float]) -> Spread | None:
    """Median, extremes and quartiles (linear between order statistics); None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    lower, median, upper = (_quantile(ordered, part) for part in (0.25, 0.5, 0.75))
    return Spread(median, ordered[0], ordered[-1], lower, upper, len(ordered))


def comparisons(trials: int) -> int:
    """Pairs of so many trials.

    The best is chosen by the same figures that it is then judged by, so any pair may come to be compared, and the
    intervals must hold whichever do.
    """
    return max(1, trials * (trials - 1) // 2)


def rounds_needed(comparisons: int, level: float = LEVEL) -> int:
    """Fewest rounds that can reach a level in so many comparisons at once: 6 for 1, 10 for 25, 13 for 136."""
    wanted = _each(level, comparisons)
    return next(count for count in itertools.count(2) if coverage(count, 1) >= wanted)


def coverage(count: int, place: int) -> float:
    """Chance that the median lies between the `place`-th smallest and the `place`-th largest of `count` values."""
    below = sum(math.comb(count, number) for number in range(place))
    return 1.0 - below / (1 << count - 1)


def ratios(values: Mapping[int, float], reference: Mapping[int, float]) -> list[float]:
    """values / reference of every round that both have."""
    return [value / reference[key] for key, value in values.items() if key in reference]


def ratio_interval(
    values: Mapping[int, float], reference: Mapping[int, float], comparisons: int = 1, level: float = LEVEL
) -> Interval | None:
    """The interval of the median of values / reference, paired by round.

    Args:
        values: positive, by round.
        reference: those of what is compared with; rounds that only one of them has are left out.
        comparisons: how many intervals are to hold at once (Bonferroni).
        level: chance that all of them do.

    Returns:
        None where so few rounds can't reach the level.
    """
    paired = sorted(ratios(values, reference))
    count, wanted = len(paired), _each(level, comparisons)
    place = 0
    while 2 * (place + 1) <= count and coverage(count, place + 1) >= wanted:
        place += 1
    if not place:
        return None
    return Interval(paired[place - 1], paired[-place], statistics.median(paired), coverage(count, place), count)


def no_difference(interval: Interval) -> str:
    """The words for an interval that includes 1: `no difference found (0.97–1.04)`."""
    return f"no difference found ({interval.low:.2f}–{interval.high:.2f})"


def _each(level: float, comparisons: int) -> float:
    """The level of each of so many comparisons where all are to hold together with `level`."""
    return 1 - (1 - level) / comparisons


def _quantile(ordered: list[float], part: float) -> float:
    place = part * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
