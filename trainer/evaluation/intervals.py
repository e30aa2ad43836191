"""A mean over repeated draws, and how well it is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean accuracy, 0 to 1, and the half-width of its 95 % interval."""

    mean: float
    half_width: float | None
    """None where there is one value, which says nothing about its spread."""

    @property
    def ends(self) -> tuple[float, float] | None:
        """The interval's ends, none beyond what an accuracy can be."""
        if self.half_width is None:
            return None
        return max(0.0, self.mean - self.half_width), min(1.0, self.mean + self.half_width)

    def percent(self) -> str:
        """Accuracies of 0 to 1 as a cell of a table: `62.8 ± 1.2`, or `62.8` of a single draw."""
        mean = f"{100 * self.mean:.1f}"
        return mean if self.half_width is None else f"{mean} ± {100 * self.half_width:.1f}"


def interval(values: Sequence[float]) -> Interval:
    """The mean of independent draws and its interval by Student's t: t(0.975, n − 1) · s / √n.

    It covers what was drawn and nothing else: over subsets of labels it says how much the choice of the labelled
    images matters, given the encoder and the test images.

    Args:
        values: one a draw, at least one.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Interval(mean, None)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Interval(mean, t_quantile(count - 1) * deviation / math.sqrt(count))


def t_quantile(degrees: int) -> float:
    """What Student's t with so many degrees of freedom stays below, in size, with 95 %: 2.776 for 4."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + CONFIDENCE) / 2))
