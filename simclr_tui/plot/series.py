"""What a chart needs to know before it draws: scales, ticks, smoothing, reduction to columns. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from simclr_tui.format import duration

T = TypeVar("T")

_ANSWERS_KEPT = 12

_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Sample(NamedTuple):
    """A point of a curve, or a stretch of it with the lowest and the highest value in it.

    A tuple, since a redraw makes some ten thousand of them.
    """

    x: float
    low: float
    high: float
    value: float

    @classmethod
    def at(cls, x: float, value: float) -> "Sample":
        """A single point."""
        return cls(x, value, value, value)


SMALLEST_SPAN = 1e-200
"""A scale of a shorter range is one of a single value: dividing by it would overflow."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values laid over a number of dots or cells, linear or logarithmic."""

    low: float
    high: float
    size: int
    log: bool = False

    def position(self, value: float) -> int:
        """The dot of a value, 0 for `low` and size − 1 for `high`; values beyond them go beyond that."""
        return round(self._fraction(value) * (self.size - 1))

    def clamped(self, value: float) -> int:
        """The dot of a value, or the nearest that there is."""
        return min(self.size - 1, max(0, self.position(value)))

    def value(self, position: float) -> float:
        """The value of a dot."""
        part = position / (self.size - 1) if self.size > 1 else 0.5
        if self.log:
            low, high = (math.log10(max(v, 1e-300)) for v in (self.low, self.high))
            return float(10 ** (low + part * (high - low)))
        return self.low + part * (self.high - self.low)

    def _fraction(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            # What is not positive has no logarithm; it belongs below everything that has.
            value, low, high = (math.log10(max(v, 1e-300)) for v in (value, low, high))
        return (value - low) / (high - low) if high - low > SMALLEST_SPAN else 0.5


def nice_step(span: float, count: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that divides a span into at most `count` parts."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(power * nice for nice in _NICE if power * nice * count >= span * (1 - 1e-9))


def ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """Round values within a range, at most count + 1 of them.

    Args:
        low: start of the range.
        high: end of the range.
        count: parts that the range is divided into at most.
        whole: only whole numbers, for epochs and steps.
    """
    if high - low <= SMALLEST_SPAN:
        return [low]
    step = nice_step(high - low, max(1, count))
    if whole:
        step = 1.0 if step < 1 else 5.0 if step == 2.5 else step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten within a range, with twos and fives between them where there is room.

    A range that has fewer than two of these has the ticks of a linear axis: they are all that tells its ends apart.
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [f * 10.0**e for e in exponents for f in factors if low <= f * 10.0**e <= high]
        if len(values) < 2:
            return ticks(low, high, count)
        if len(values) <= count + 1:
            return values
    return values[:: math.ceil(len(values) / (count + 1))]


_UNITS_OF_TIME = (1, 2, 5, 10, 15, 30, *(60 * n for n in (1, 2, 5, 10, 15, 30)), *(3600 * n for n in (1, 2, 3, 6, 12)))
_DAY = 86_400.0


def time_ticks(low: float, high: float, count: int) -> list[float]:
    """Seconds within a range that are whole in the units that people count time in, at most count + 1 of them."""
    if high <= low:
        return [low]
    enough = (high - low) / max(1, count)
    if enough < 1:
        return ticks(low, high, count)
    step = next((float(unit) for unit in _UNITS_OF_TIME if unit >= enough), 0.0) or _DAY * max(
        1.0, math.ceil(nice_step((high - low) / _DAY, max(1, count)))
    )
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def time_tick(value: float, step: float) -> str:
    """A time as the label of an axis whose labels are so far apart: two units say it, or else 1 d 4:30 or 2:05:30."""
    if step < 1:
        return f"{value:.6g} s"
    hours, rest = divmod(round(value), 3600)
    days, hours_of_day = divmod(hours, 24)
    if (step < 60 and hours) or (step < 3600 and days):
        seconds = f":{rest % 60:02d}" if step < 60 else ""
        return (f"{days} d " if days else "") + f"{hours_of_day}:{rest // 60:02d}{seconds}"
    return duration(value)


def within(samples: Sequence[Sample], scale: Scale) -> Sequence[Sample]:
    """The samples inside a scale, with what lies between an edge and the samples outside of it put on that edge."""
    low, high = scale.low, scale.high
    if not samples or (samples[0].x >= low and samples[-1].x <= high) or high <= low:
        return samples
    first, end = bisect_left(samples, low, key=_x_of), bisect_right(samples, high, key=_x_of)
    inside = list(samples[first:end])
    if 0 < first < len(samples) and samples[first].x > low:
        inside.insert(0, _between(samples[first - 1], samples[first], low))
    if 0 < end < len(samples) and samples[end - 1].x < high:
        inside.append(_between(samples[end - 1], samples[end], high))
    return inside


def _x_of(sample: Sample) -> float:
    return sample.x


def _between(one: Sample, other: Sample, x: float) -> Sample:
    """What a straight line between two samples has at x."""
    part = (x - one.x) / (other.x - one.x) if other.x > one.x else 0.0
    return Sample(x, *(a + part * (b - a) for a, b in zip(one[1:], other[1:], strict=True)))


def smooth(samples: Sequence[Sample], span: float) -> list[Sample]:
    """An exponential moving average over x, without the bias towards the first value.

    A sample weighs exp(−distance / span), so that stretches of unequal length are treated alike. The start is
    debiased as in Adam (Kingma & Ba 2014, arXiv 1412.6980, section 3).
    """
    result: list[Sample] = []
    total = weight = 0.0
    before = samples[0].x if samples else 0.0
    for sample in samples:
        # A fork with longer epochs begins a little before its parent's curve ends.
        keep = math.exp(-max(0.0, sample.x - before) / span) if span > 0 else 0.0
        total, weight = keep * total + sample.value, keep * weight + 1.0
        mean = total / weight
        result.append(Sample(sample.x, mean, mean, mean))
        before = sample.x
    return result


class Series(tuple[Sample, ...]):
    """Samples with what was last worked out from them: of twelve runs that are drawn at most a few have changed."""

    def recall(self, question: tuple[object, ...], answer: Callable[[], T]) -> T:
        """The answer to a question about these samples, worked out once as long as few others are asked."""
        answers: dict[tuple[object, ...], object] = self.__dict__.setdefault("answers", {})
        if question not in answers:
            if len(answers) >= _ANSWERS_KEPT:
                del answers[next(iter(answers))]
            answers[question] = answer()
        return answers[question]  # type: ignore[return-value]  # the same question has an answer of the same type


def recalled(samples: Sequence[Sample], question: tuple[object, ...], answer: Callable[[], T]) -> T:
    """The answer to a question about samples, known again where they are a series."""
    return samples.recall(question, answer) if isinstance(samples, Series) else answer()


def reduce(samples: Iterable[Sample], scale: Scale) -> dict[int, Sample]:
    """One sample per dot column of a scale, holding the lowest, the highest and the mean value; no spike is lost."""
    found: dict[int, list[Sample]] = {}
    column_of, low, span, last = scale.clamped, scale.low, scale.high - scale.low, scale.size - 1
    is_plain = not scale.log and span > SMALLEST_SPAN
    for sample in samples:  # some ten thousand of them: what `clamped` does is written out
        column = min(last, max(0, round((sample[0] - low) / span * last))) if is_plain else column_of(sample[0])
        group = found.get(column)
        if group is None:
            found[column] = [sample]
        else:
            group.append(sample)
    return {column: group[0] if len(group) == 1 else _joined(group) for column, group in found.items()}


def _joined(group: Sequence[Sample]) -> Sample:
    """Several samples as one."""
    xs, lows, highs, values = zip(*group, strict=True)
    return Sample(xs[-1], min(lows), max(highs), sum(values) / len(values))


def upper_bound(samples: Sequence[Sample], *, keep: float = 0.95) -> float:
    """A value that all but a few highest peaks stay below, so that one spike does not flatten a curve."""
    highs = sorted(sample.high for sample in samples)
    return highs[math.floor(keep * (len(highs) - 1))] if highs else 0.0
