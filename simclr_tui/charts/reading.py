"""Reading charts: values at a place of x, in words too, and the arithmetic of zooming, panning and following. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from simclr_tui.charts.axes import whole_range
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.format import UNKNOWN, duration, number
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample

Window = tuple[float, float]
"""From where to where on x."""

SECOND_INK = "second"
"""Of the second curve of the cursor's run."""

SMOOTHINGS = (0.0, 0.005, 0.015, 0.05, 0.15)
"""Spans of the moving average that can be chosen, each a part of the range of x."""

_DIGITS = 4
_FEWEST_STEPS = 4
_SHORT_SECONDS = 60
_DAY_SECONDS = 86_400
_TOUCHES = 1e-9
"""So near to the newest end, as a part of the whole, a window counts as one that touches it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far on x what is drawn reaches."""

    key: tuple[str, ...]
    """The axis and the runs: a whole of others says nothing about what has come since."""
    whole: Window
    smallest: float
    """The span of a few steps, closer than which nothing is to be seen."""

    @classmethod
    def of(cls, drawn: Sequence[Drawn], view: View) -> "Extent":
        """The extent of the drawn runs."""
        whole = whole_range(drawn, view)
        steps = max((one.curves.last_step for one in drawn), default=0)
        smallest = _FEWEST_STEPS * (whole[1] - whole[0]) / max(1, steps)
        return cls((view.axis, *(one.row.run.id for one in drawn)), whole, smallest)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a curve says at a place of x."""

    line: Line
    sample: Sample | None
    """The last one at or before that place; None where the curve begins later."""
    is_past: bool
    """Whether the curve has ended before."""

    @property
    def words(self) -> str:
        """The value; of a curve that has ended, its last one in brackets."""
        if self.sample is None:
            return UNKNOWN
        figure = number(self.sample.value, _DIGITS)
        return f"({figure})" if self.is_past else figure

    @property
    def spread(self) -> str:
        """From the lowest to the highest value that the sample stands for, where it stands for more than one."""
        if self.sample is None or self.sample.low == self.sample.high:
            return ""
        return f"{number(self.sample.low, _DIGITS)} to {number(self.sample.high, _DIGITS)}"


def sample_at(samples: Sequence[Sample], x: float) -> Sample | None:
    """The last sample at or before a place; samples are in the order of x."""
    at = bisect_right(samples, x, key=lambda sample: sample.x)
    return samples[at - 1] if at else None


def has_readings(data: ChartData) -> bool:
    """Whether values can be read off at a place of the x that charts share."""
    return not data.own_x and any(line.name for line in data.lines)


def place_read(data: ChartData, cursor: float | None) -> float | None:
    """Where a chart is read: at the cursor, unless that is out of sight or x is the chart's own."""
    low, high = data.x_range
    return cursor if cursor is not None and low <= cursor <= high and has_readings(data) else None


def readings(lines: Sequence[Line], x: float) -> list[Reading]:
    """What every curve that has a name says at a place: the cursor's run first, which charts draw last.

    A second curve of it comes behind those of the other runs, which are there to be compared.
    """
    found = [
        Reading(line, sample_at(line.raw or line.samples, x), _is_past(line.raw or line.samples, x))
        for line in reversed(lines)
        if line.name and line.samples
    ]
    return sorted(found, key=lambda one: one.line.ink == SECOND_INK)


def _is_past(samples: Sequence[Sample], x: float) -> bool:
    """Whether a place lies further behind the last sample than that one lies behind the one before it."""
    gap = samples[-1].x - samples[-2].x if len(samples) > 1 else 0.0
    return x > samples[-1].x + gap


def fitting(parts: Sequence[tuple[str, str]], width: int, *, apart: int = 2) -> list[tuple[str, str]]:
    """As many texts with their inks as a width has room for, and how many more there are: +3."""
    for count in range(len(parts), 0, -1):
        rest = [(f"+{len(parts) - count}", "")] if count < len(parts) else []
        shown = [*parts[:count], *rest]
        if sum(cell_len(text) for text, _ in shown) + apart * (len(shown) - 1) <= width:
            return shown
    return [(f"+{len(parts)}", "")] if len(parts) > 1 and width > 2 else []


def zoomed(window: Window | None, whole: Window, factor: float, at: float, *, smallest: float) -> Window | None:
    """A window with so many times the span, in which a place stays where it is; None once it holds everything."""
    low, high = window or whole
    span = max((high - low) * factor, smallest)
    if span >= whole[1] - whole[0]:
        return None
    part = (min(high, max(low, at)) - low) / (high - low) if high > low else 1.0
    return _inside(at - part * span, span, whole) if low <= at <= high else _inside(high - span, span, whole)


def panned(window: Window, whole: Window, part: float) -> Window:
    """A window that is moved by a part of its span, as far as there is anything."""
    span = window[1] - window[0]
    return _inside(window[0] + part * span, span, whole)


def _inside(low: float, span: float, whole: Window) -> Window:
    """A window of a span, moved into the whole; one that touches the newest end does so exactly."""
    low = max(whole[0], low)
    return (whole[1] - span, whole[1]) if low + span >= whole[1] else (low, low + span)


def touches(window: Window, whole: Window) -> bool:
    """Whether a window reaches to the newest end."""
    return window[1] >= whole[1] - _TOUCHES * (whole[1] - whole[0])


def overlaps(window: Window, whole: Window) -> bool:
    """Whether there is anything in a window."""
    return window[0] < whole[1] and window[1] > whole[0]


def followed(window: Window, before: Window, now: Window) -> Window:
    """The window after the whole has grown: one that touched its newest end still does."""
    return (window[0] + now[1] - window[1], now[1]) if touches(window, before) else window


def moved(cursor: float | None, window: Window, whole: Window, columns: int, delta: int) -> tuple[float, Window]:
    """The reading cursor so many columns further, and the window, which goes along where the cursor would leave it.

    The first cursor is at the newest end of the window, and one out of sight comes back to the end that it is beyond.
    """
    low, high = window
    if cursor is None:
        return high, window
    if not low <= cursor <= high:
        return min(high, max(low, cursor)), window
    step = delta * (high - low) / max(1, columns)
    cursor = min(whole[1], max(whole[0], cursor + step))
    if low <= cursor <= high:
        return cursor, window
    # By the step and not to the cursor's place, which rounding puts beside the end.
    window = panned(window, whole, step / (high - low)) if high > low else window
    return min(window[1], max(window[0], cursor)), window


def next_smoothing(smoothing: float) -> float:
    """The span after that one."""
    return next((span for span in SMOOTHINGS if span > smoothing * (1 + _TOUCHES)), SMOOTHINGS[0])


def smoothing_words(smoothing: float) -> str:
    """A span in words."""
    return f"smoothed over {100 * smoothing:.3g} %" if smoothing > 0 else "not smoothed"


def x_figure(axis: str, x: float) -> str:
    """A place on an axis, to be read off."""
    if axis == "step":
        return f"{x:,.0f}"
    if axis == "epoch":
        return f"{x:,.2f}"
    return _time(x)


def x_words(axis: str, x: float) -> str:
    """The same with what it counts."""
    figure = x_figure(axis, x)
    return {"wall": f"{figure} after the start", "trained": f"{figure} trained"}.get(axis, f"{axis} {figure}")


def window_words(axis: str, window: Window, whole: Window) -> str:
    """Which part of the whole is shown."""
    low, high, end = (x_figure(axis, x) for x in (*window, whole[1]))
    words = f"{low}–{high} of {end}"
    return {"wall": f"{words} since the start", "trained": f"{words} trained"}.get(axis, f"{axis} {words}")


def look_words(view: View, whole: Window) -> list[str]:
    """How charts are looked at, as far as it is not the usual way."""
    words = []
    if view.window is not None:
        following = ", following" if touches(view.window, whole) else ""
        words.append(f"{window_words(view.axis, view.window, whole)}{following}")
    if view.cursor is not None:
        low, high = view.window or whole
        hidden = "" if low <= view.cursor <= high else ", which is out of sight"
        words.append(f"read at {x_words(view.axis, view.cursor)}{hidden}")
    if view.smoothing != View().smoothing:
        words.append(smoothing_words(view.smoothing))
    return words


def _time(seconds: float) -> str:
    """A length of time to the second, and to a tenth where it is short."""
    if seconds < _SHORT_SECONDS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    rest = whole % _SHORT_SECONDS
    if whole >= _DAY_SECONDS or not rest:
        return duration(whole)
    return f"{duration(whole - rest)} {rest} s"
