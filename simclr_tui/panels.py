"""Which charts there are and what each shows: from curves to chart data. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from simclr_tui.draw import ChartData, Line
from simclr_tui.drawn import Drawn, View
from simclr_tui.format import number
from simclr_tui.model import FORKED, setting
from simclr_tui.objective import accuracy_chance, loss_chance, method_of
from simclr_tui.series import Sample, smooth, upper_bound

_SMOOTHING = 0.015
"""Span of the moving average as a part of the range of x."""
_MARGIN = 0.05
_DEVICE_GAP_MINUTES = 0.2

Panel = Callable[[Sequence[Drawn], View], ChartData]
"""Makes a chart of drawn runs, the cursor's run first."""


def loss_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """The loss of each step against its chance level."""
    data = _step_panel("loss", drawn, view, "loss", log=view.log)
    chance = loss_chance(drawn[0].row.run) if drawn else None
    if not data.lines or chance is None:
        return data
    low, high = data.y_range
    return replace(data, chance=(chance, f"chance {number(chance)}"), y_range=(low, max(high, chance * 1.02)))


def accuracy_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """Contrastive top-1 and top-5, of a classifier in training its own; only top-1 of the runs compared with."""
    is_classifier = bool(drawn) and method_of(drawn[0].row.run) == "cross-entropy"
    title = "training accuracy, %" if is_classifier else "contrastive accuracy, %"
    data = _step_panel(title, drawn, view, "acc_top1", "acc_top5", factor=100, from_zero=True)
    if not data.lines:
        return data
    data = replace(data, y_range=(0.0, min(100.0, data.y_range[1])))
    levels = accuracy_chance(drawn[0].row.run)
    if levels is None:
        return data
    chance = 100 * levels.acc_top1
    return replace(data, chance=(chance, f"chance {number(chance, 2)}"))


def step_time_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """Milliseconds that a step computes, and that it waited for its batch."""
    return _step_panel(
        "a step, ms", drawn, view, "t_batch", "t_data", factor=1000, from_zero=not view.log, log=view.log, clip=True
    )


def knn_panel(drawn: Sequence[Drawn], view: View) -> ChartData:
    """The online kNN score of each epoch."""
    lines = []
    for one in reversed(drawn):
        per_epoch = 1 if view.by_epoch else one.row.run.steps_per_epoch or 1
        before = _scores_before(one, view, without=_ids(drawn))
        if before:
            lines.append(Line(samples=before, ink=one.faint_ink))
        points = [
            Sample.at(row["epoch"] * per_epoch, 100 * row["knn_top1"])
            for row in one.curves.epochs
            if row["knn_top1"] is not None
        ]
        if points:
            lines.append(Line(samples=points, ink=one.ink, sign=one.sign))
    title = "kNN top-1, %"
    if not lines:
        return ChartData(title=title, empty=_no_knn(drawn))
    values = [sample for line in lines for sample in line.samples]
    return ChartData(
        title=title,
        lines=lines,
        x_range=(0.0, max(_x_end(drawn, view), 1.0)),
        y_range=_padded(min(s.value for s in values), max(s.value for s in values)),
        x_name=_x_name(view),
        marks=[mark for one in drawn for mark in _marks(one, view)],
    )


def _scores_before(one: Drawn, view: View, *, without: Collection[str]) -> list[Sample]:
    """The kNN scores of the runs before the fork; a closed epoch counts if its last step came before it."""
    found = []
    first = 0
    for stretch in one.trunk:
        per_epoch = stretch.row.run.steps_per_epoch or 1
        found += [
            Sample.at(one.x_before(stretch, row["epoch"] * per_epoch, view), 100 * row["knn_top1"])
            for row in stretch.curves.epochs
            if row["knn_top1"] is not None
            and first < row["epoch"] * per_epoch <= stretch.until
            and stretch.row.run.id not in without
        ]
        first = stretch.until
    return found


def device_panel(drawn: Sequence[Drawn], _view: View) -> ChartData:
    """What the device of the cursor's run did in the last minutes."""
    if not drawn or not drawn[0].curves.device:
        return ChartData(title="device, %", empty=_no_device(drawn))
    one = drawn[0]
    last = one.curves.device[-1]["at"]
    samples = [
        Sample.at((row["at"] - last) / 60, row["gpu_util"]) for row in one.curves.device if row["gpu_util"] is not None
    ]
    kind = "CPU" if one.curves.device[-1]["source"] == "cpu" else "GPU"
    if not samples:
        return ChartData(title=f"{kind} utilisation, %", empty="the device does not tell its utilisation")
    return ChartData(
        title=f"{kind} utilisation, %",
        lines=[Line(samples=samples, ink=one.ink, sign=one.sign, max_gap=_DEVICE_GAP_MINUTES)],
        x_range=(min(samples[0].x, -1.0), 0.0),
        y_range=(0.0, 100.0),
        x_name="min",
    )


PANELS: Mapping[str, Panel] = {
    "loss": loss_panel,
    "accuracy": accuracy_panel,
    "knn": knn_panel,
    "step-time": step_time_panel,
    "device": device_panel,
}
"""Every chart by its id, in the order in which they are shown."""


def _step_panel(
    title: str,
    drawn: Sequence[Drawn],
    view: View,
    main: str,
    second: str | None = None,
    *,
    factor: float = 1.0,
    from_zero: bool = False,
    log: bool = False,
    clip: bool = False,
) -> ChartData:
    """A chart of step series: the raw values of the cursor's run faint, the smoothed ones of every run strong.

    With `clip` the highest few peaks are cut off, so that one long wait does not flatten everything else.
    """
    # Two digits, so that a run that grows by a step does not change the curves of all others.
    span = float(f"{_SMOOTHING * _x_end(drawn, view):.2g}")
    lines: list[Line] = []
    raw: Sequence[Sample] = ()
    for one in reversed(drawn):
        samples = one.samples(main, view, factor)
        before = one.samples_before(main, view, factor, without=_ids(drawn))
        smoothed = smooth([*before, *samples], span) if before else one.smoothed(main, view, factor, span)
        if before:
            lines.append(Line(samples=smoothed[: len(before) + 1], ink=one.faint_ink))
        if not samples:
            continue
        if one is drawn[0]:
            raw = samples
            lines.append(Line(samples=samples, ink=one.faint_ink, band=True))
            others = one.smoothed(second, view, factor, span) if second else ()
            if others:
                lines.append(Line(samples=others, ink="second", sign=one.hollow_sign))
        lines.append(Line(samples=smoothed[len(before) :], ink=one.ink, sign=one.sign))
    if not lines:
        return ChartData(title=title, empty=_no_steps(drawn))
    curves = [sample for line in lines if not line.band for sample in line.samples]
    every = [*curves, *raw]
    high = max(map(upper_bound, (raw, curves))) if clip else max(sample.high for sample in every)
    return ChartData(
        title=title,
        lines=lines,
        legend=_legend(drawn[0], main, second, has_raw=bool(raw)),
        x_range=(0.0, max(_x_end(drawn, view), 1.0)),
        y_range=_range(min(sample.low for sample in every), high, from_zero=from_zero, log=log, positive=every),
        x_name=_x_name(view),
        log=log,
        marks=[mark for one in drawn for mark in _marks(one, view)],
    )


_SHORT = {"acc_top1": "top-1", "acc_top5": "top-5", "t_batch": "t_batch", "t_data": "t_data", "loss": "smoothed"}


def _legend(one: Drawn, main: str, second: str | None, *, has_raw: bool) -> list[tuple[str, str]]:
    legend = [("⣿ raw", one.faint_ink)] if has_raw else []
    legend.append((f"{one.sign} {_SHORT[main]}", one.ink))
    if second:
        legend.append((f"{one.hollow_sign} {_SHORT[second]}", "second"))
    return legend


def _range(low: float, high: float, *, from_zero: bool, log: bool, positive: Sequence[Sample]) -> tuple[float, float]:
    if log:
        smallest = min((sample.low for sample in positive if sample.low > 0), default=1e-3)
        return smallest, max(high, smallest * 10)
    if from_zero:
        return 0.0, high * (1 + _MARGIN) or 1.0
    return _padded(low, high)


def _padded(low: float, high: float) -> tuple[float, float]:
    margin = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
    return low - margin, high + margin


def _x_end(drawn: Sequence[Drawn], view: View) -> float:
    """Where the longest of the drawn runs is."""
    ends = [one.x(max((p[-1].last_step for p in one.curves.steps.values() if p), default=0), view) for one in drawn]
    ends += [one.x_before(one.trunk[-1], one.trunk[-1].until, view) for one in drawn if one.trunk]
    return max(ends, default=0.0)


def _ids(drawn: Sequence[Drawn]) -> set[str]:
    return {one.row.run.id for one in drawn}


def _x_name(view: View) -> str:
    return "epoch" if view.by_epoch else "step"


def _marks(one: Drawn, view: View) -> list[tuple[float, str]]:
    marks = [(one.x(step, view), word) for step, word in one.curves.marks]
    if one.trunk and not any(word == FORKED for _, word in marks):  # not begun yet, or so long ago that it is not read
        marks.insert(0, (one.x_before(one.trunk[-1], one.trunk[-1].until, view), FORKED))
    return marks


def _no_steps(drawn: Sequence[Drawn]) -> str:
    if not drawn:
        return "no run is chosen"
    row = drawn[0].row
    if row.run.kind == "evaluate":
        return "an evaluation takes no steps"
    if row.run.kind == "benchmark":
        return "a benchmark is no training; b shows its trials"
    if row.turn is not None:
        return "held back in line; h releases it" if row.turn.is_held else "waits in line, and starts by itself"
    return {
        "queued": "not started yet; r starts it",
        "starting": "no step yet; the trainer is coming up",
    }.get(row.state, "no step yet" if row.is_live else "no step was taken")


def _no_knn(drawn: Sequence[Drawn]) -> str:
    if not drawn or drawn[0].row.run.kind == "evaluate":
        return _no_steps(drawn)
    every = setting(drawn[0].row, "knn_every", 1)
    if not every:
        return "no kNN score: it is switched off (--knn-every 0)"
    is_supervised = method_of(drawn[0].row.run) in ("supcon", "cross-entropy")
    if is_supervised and not setting(drawn[0].row, "hold_out", 0.0):
        return "no kNN score: it trains on all labels; --hold-out 0.1 would keep some"
    if drawn[0].curves.epochs and drawn[0].curves.epochs[-1]["epoch"] >= every:
        return "no kNN score: too few labelled train images"
    return f"no kNN score yet; the first comes after epoch {every}"


def _no_device(drawn: Sequence[Drawn]) -> str:
    if drawn and drawn[0].row.is_live:
        return "no sample of the device yet"
    return "no sample of the device; one comes every second while a run is live"
