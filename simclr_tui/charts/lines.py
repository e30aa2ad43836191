"""From series of runs to charts: raw values faint and smoothed ones strong, or a point for each measurement. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from simclr_tui.charts.axes import NAMES, cut, inside, shown_range
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.marks import marks_of
from simclr_tui.charts.reasons import no_steps
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample, recalled, upper_bound

_MARGIN = 0.05
_SMALLEST_POSITIVE = 1e-3
"""Where a logarithmic axis begins if nothing is positive."""

_LEAST_RATIO = 1.1
"""Between the ends of a logarithmic axis, of a curve that is nearly level too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What the y axis of a chart is like."""

    title: str
    factor: float = 1.0
    """What stored values are multiplied with."""
    from_zero: bool = False
    can_log: bool = True
    """Whether a logarithmic axis makes sense."""
    clip: bool = False
    """The highest few peaks are cut off, so that one long wait does not flatten everything else."""


def step_chart(
    shape: Shape,
    drawn: Sequence[Drawn],
    view: View,
    main: tuple[str, str],
    second: tuple[str, str] | None = None,
    *,
    empty: Callable[[Sequence[Drawn]], str] = no_steps,
) -> ChartData:
    """A chart of series over steps: raw values of the cursor's run faint, the smoothed ones of every run strong.

    Args:
        shape: of the chart.
        drawn: the runs, the cursor's first.
        view: how it is looked at.
        main: the series that is shown of every run, and what it is called.
        second: one more of the cursor's run.
        empty: why there is nothing, if there is nothing.
    """
    low, high = shown_range(drawn, view)
    # Two digits, so that a run that grows by a step does not change the curves of all others.
    span = float(f"{view.smoothing * (high - low):.2g}")
    lines: list[Line] = []
    has_raw = False
    for one in reversed(drawn):
        trunk, own = _curves(one, view, shape, main, span, drawn)
        lines += trunk
        if own is not None and one is drawn[0]:
            has_raw = True
            lines.append(Line(samples=own.raw, ink=one.faint_ink, band=True, gaps=own.gaps))
            other = _curves(one, view, shape, second, span, drawn)[1] if second else None
            lines += [replace(other, ink="second", sign=one.hollow_sign)] if other is not None else []
        lines += [own] if own is not None else []
    if not lines:
        return ChartData(title=shape.title, empty=empty(drawn))
    legend = _legend(drawn[0], main[1], second[1] if second else "", view, has_raw=has_raw)
    return framed(shape, lines, drawn, view, legend=legend)


def _curves(
    one: Drawn, view: View, shape: Shape, main: tuple[str, str], span: float, drawn: Sequence[Drawn]
) -> tuple[list[Line], Line | None]:
    """The smoothed curve of what came before a fork, and the one of the run, with its raw values."""
    name, word = main
    samples = one.samples(name, view, shape.factor)
    before, smoothed = one.smoothed(name, view, shape.factor, span, without={other.row.run.id for other in drawn})
    trunk = [Line(samples=cut(before, view.window), ink=one.faint_ink)] if before else []
    if not samples:
        return trunk, None
    own = Line(
        samples=cut(smoothed, view.window),
        ink=one.ink,
        sign=one.sign,
        gaps=one.gaps(name, view),
        raw=cut(samples, view.window),
        name=word,
        key=one.row.run.id,
    )
    return trunk, own


def _legend(one: Drawn, main: str, second: str, view: View, *, has_raw: bool) -> list[tuple[str, str]]:
    smoothed = "smoothed" if view.smoothing > 0 else ""
    legend = [("⣿ raw", one.faint_ink)] if has_raw else []
    legend.append((f"{one.sign} {main if second else smoothed or main}", one.ink))
    if second:
        legend.append((f"{one.hollow_sign} {second}", "second"))
    return legend


def point_chart(
    shape: Shape,
    drawn: Sequence[Drawn],
    view: View,
    word: str,
    values: Callable[[Drawn], Sequence[tuple[float, float]]],
    before: Callable[[Drawn], Sequence[Sample]] = lambda _: (),
    *,
    empty: Callable[[Sequence[Drawn]], str] = no_steps,
) -> ChartData:
    """A chart of few values of each run, every one of which is shown as it is.

    Args:
        shape: of the chart.
        drawn: the runs, the cursor's first.
        view: how it is looked at.
        word: what the values are called.
        values: steps and values of a run.
        before: what runs before a fork have, where it is drawn.
        empty: why there is nothing, if there is nothing.
    """
    lines = []
    for one in reversed(drawn):
        trunk = before(one)
        if trunk:
            lines.append(Line(samples=cut(trunk, view.window), ink=one.faint_ink))
        samples = one.points(f"{shape.title}, points", view, shape.factor, values)
        if samples:
            shown, pauses = cut(samples, view.window), one.gaps("", view)
            lines.append(Line(samples=shown, ink=one.ink, sign=one.sign, name=word, gaps=pauses, key=one.row.run.id))
    if not lines:
        return ChartData(title=shape.title, empty=empty(drawn))
    return framed(shape, lines, drawn, view)


def framed(
    shape: Shape,
    lines: Sequence[Line],
    drawn: Sequence[Drawn],
    view: View,
    *,
    legend: Sequence[tuple[str, str]] = (),
) -> ChartData:
    """Lines between axes that hold everything of them that lies in the window."""
    shown = [inside(line.samples, view.window) or line.samples for line in lines]
    log = shape.can_log and view.log
    extremes = [
        recalled(samples, ("extremes", shape.clip), partial(_extremes, samples, shape.clip)) for samples in shown
    ]
    return ChartData(
        title=shape.title,
        lines=lines,
        legend=legend,
        x_range=shown_range(drawn, view),
        y_range=_y_range(shape, extremes, log=log),
        x_name=NAMES[view.axis],
        x_seconds=view.by_time,
        log=log,
        marks=[mark._replace(sign=one.sign if len(drawn) > 1 else "") for one in drawn for mark in marks_of(one, view)],
    )


class _Extremes(NamedTuple):
    """What the y axis has to hold of a curve."""

    low: float
    high: float
    smallest: float
    """The lowest value above 0."""


def _extremes(samples: Sequence[Sample], clip: bool) -> _Extremes:
    _, lows, highs, _ = zip(*samples, strict=True)
    low, high = min(lows), upper_bound(samples) if clip else max(highs)
    return _Extremes(low, high, low if low > 0 else min((value for value in lows if value > 0), default=math.inf))


def _y_range(shape: Shape, extremes: Sequence[_Extremes], *, log: bool) -> tuple[float, float]:
    low, high = min(one.low for one in extremes), max(one.high for one in extremes)
    if log:
        smallest = min(one.smallest for one in extremes)
        smallest = smallest if math.isfinite(smallest) else _SMALLEST_POSITIVE
        return smallest, max(high, smallest * _LEAST_RATIO)
    if shape.from_zero:
        return 0.0, high * (1 + _MARGIN) or 1.0
    margin = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
    return low - margin, high + margin
