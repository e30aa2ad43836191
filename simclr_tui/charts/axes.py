"""What charts have on x: how far it reaches, which part of it is looked at, and what it is called. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.plot.series import Sample, Series, recalled

NAMES = {
    "epoch": "epoch",
    "step": "step",
    "wall": "since start, pauses included",
    "trained": "trained, pauses left out",
}
"""Of each axis; what stands behind a comma is left out where there is no room for it."""

_FINEST = 512
_GRID = 8
"""A window that moves on with the newest step is read anew once it has moved by such a part of it."""


def x_end(drawn: Sequence[Drawn], view: View) -> float:
    """Where the longest of the drawn runs is."""
    ends = [one.x(one.curves.last_step, view) for one in drawn]
    ends += [one.x_before(one.trunk[-1], one.trunk[-1].until, view) for one in drawn if one.trunk]
    return max(ends, default=0.0)


def whole_range(drawn: Sequence[Drawn], view: View) -> tuple[float, float]:
    """All of x, whatever part of it is looked at.

    It grows by less than the width of a dot at a time, and not with every step: as long as it stays as it is, the
    curves of the other runs do.
    """
    end = max(x_end(drawn, view), 1.0)
    grid = 2.0 ** math.floor(math.log2(end / _FINEST))
    return 0.0, math.ceil(end / grid) * grid


def shown_range(drawn: Sequence[Drawn], view: View) -> tuple[float, float]:
    """The part of x that is looked at."""
    return view.window or whole_range(drawn, view)


def steps_shown(drawn: Sequence[Drawn], view: View) -> tuple[tuple[str, int, int], ...]:
    """The steps of every run that lie in the window, rounded outwards; nothing where all of x is shown."""
    if view.window is None:
        return ()
    low, high = view.window
    found: dict[str, tuple[int, int]] = {}
    for one in drawn:
        begin, end = one.step_at(low, view), one.step_at(high, view)
        found[one.row.run.id] = _rounded(begin, end)
        for number, stretch in enumerate(one.trunk):
            before = Drawn(stretch.row, stretch.curves, one.trunk[:number])
            begin, end = before.step_at(low, view), before.step_at(high, view)
            found.setdefault(stretch.row.run.id, _rounded(begin, end))
    return tuple((run_id, *steps) for run_id, steps in found.items())


def _rounded(begin: float, end: float) -> tuple[int, int]:
    grid = max(1.0, 2.0 ** math.floor(math.log2(max(1.0, end - begin) / _GRID)))
    return max(1, math.floor(begin / grid) * round(grid)), max(1, math.ceil(end / grid) * round(grid))


def cut(samples: Sequence[Sample], window: tuple[float, float] | None) -> Sequence[Sample]:
    """The samples in a window and the nearest one on either side of it, to which curves go on."""
    if window is None or not samples or (samples[0].x >= window[0] and samples[-1].x <= window[1]):
        return samples

    def find() -> Series:
        first, last = bisect_left(samples, window[0], key=_x_of), bisect_right(samples, window[1], key=_x_of)
        return Series(samples[max(0, first - 1) : last + 1])

    return recalled(samples, ("cut", window), find)


def inside(samples: Sequence[Sample], window: tuple[float, float] | None) -> Sequence[Sample]:
    """The samples in a window alone, of which some may have been cut off already."""
    if window is None or not samples:
        return samples
    if samples[0].x >= window[0] and samples[-1].x <= window[1]:
        return samples
    return recalled(samples, ("inside", window), lambda: Series(_inside(samples, window)))


def _inside(samples: Sequence[Sample], window: tuple[float, float]) -> Sequence[Sample]:
    return samples[bisect_left(samples, window[0], key=_x_of) : bisect_right(samples, window[1], key=_x_of)]


def _x_of(sample: Sample) -> float:
    return sample.x
