"""Sums of energy out of what devices tell: counters that wrap or begin anew, and power where there is no counter."""

from dataclasses import dataclass

MOST_WATTS = 3000.0
"""More than one processor or one card can take; a counter that says so has begun anew, or is another one."""

LONGEST_GAP_SECONDS = 60.0
"""Between readings that lie further apart power is not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Used:
    """What was used since a trainer began to count, in joules; None where it is not measured."""

    card_joules: float | None = None
    cpu_joules: float | None = None
    is_estimated: bool = False
    """Whether the card's is the sum of its power, since it has no counter of energy."""

    def since(self, before: "Used") -> "Used":
        """What was used after an earlier look."""
        return Used(
            card_joules=_less(self.card_joules, before.card_joules),
            cpu_joules=_less(self.cpu_joules, before.cpu_joules),
            is_estimated=self.is_estimated,
        )


NOTHING = Used()
"""Nothing is measured."""


def _less(joules: float | None, before: float | None) -> float | None:
    return None if joules is None else max(0.0, joules - (before or 0.0))


class Counter:
    """Adds up what a counter of joules advances by. A jump that no device can make adds nothing."""

    def __init__(self, *, range_joules: float | None = None) -> None:
        """Args: where the counter wraps around to 0, None where it does not."""
        self.joules: float | None = None
        """The sum; None as long as nothing was read."""
        self._range = range_joules
        self._last: tuple[float, float] | None = None

    def read(self, joules: float, at: float) -> float:
        """Take a reading; the sum.

        Args:
            joules: what the counter says.
            at: seconds of a clock that is never set.
        """
        before, self._last = self._last, (joules, at)
        self.joules = self.joules or 0.0
        if before is not None:
            seconds = at - before[1]
            self.joules += self._advance(joules - before[0], seconds)
        return self.joules

    def _advance(self, used: float, seconds: float) -> float:
        most = MOST_WATTS * max(1.0, seconds)
        if self._range is not None:
            if most > self._range and seconds > 1.0:
                return 0.0  # so long that nobody knows how often it went round
            used = used if used >= 0 else used + self._range
        return used if 0 <= used <= most else 0.0


class PowerSum:
    """Adds up power over time, by the trapezoidal rule."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.joules: float | None = None
        self._last: tuple[float, float] | None = None

    def read(self, watts: float, at: float) -> float:
        """Take a reading of power at a time in seconds of a clock that is never set; the sum in joules."""
        before, self._last = self._last, (watts, at)
        self.joules = self.joules or 0.0
        if before is not None and at - before[1] <= LONGEST_GAP_SECONDS:
            self.joules += (watts + before[0]) / 2 * (at - before[1])
        return self.joules
