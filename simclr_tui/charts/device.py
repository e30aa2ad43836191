"""Charts of the device: its last minutes, and everything that it was sampled for over the whole run. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simclr_tui.charts.axes import cut, whole_range
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.lines import Shape, framed
from simclr_tui.charts.marks import device_places
from simclr_tui.charts.reasons import no_device
from simclr_tui.energy_words import device_words
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample

_GAP_MINUTES = 0.2
_GAP_STRETCHES = 3.0
_GAP_SECONDS = 12.0
_GIB = 2.0**-30

SHAPES = {
    "gpu_util": Shape(title="device utilisation, %", from_zero=True, can_log=False),
    "gpu_memory_bytes": Shape(title="device memory, GiB", factor=_GIB, from_zero=True, can_log=False),
    "process_memory_bytes": Shape(title="memory of the process, GiB", factor=_GIB, from_zero=True, can_log=False),
    "power_watts": Shape(title="power, W", from_zero=True, can_log=False),
    "temperature_celsius": Shape(title="temperature, °C", can_log=False),
    "sm_clock_mhz": Shape(title="clock, MHz", can_log=False),
    "cpu_percent": Shape(title="CPU utilisation, %", from_zero=True, can_log=False),
    "throttled": Shape(title="slowed down, % of the time", from_zero=True, can_log=False),
}
"""Of every column of trainer.store.history.DEVICE_SERIES, and how often the card was kept from its usual speed."""


_WORDS = {
    "gpu_util": "utilisation",
    "gpu_memory_bytes": "memory",
    "process_memory_bytes": "process",
    "power_watts": "power",
    "temperature_celsius": "temperature",
    "sm_clock_mhz": "clock",
    "cpu_percent": "CPU",
    "throttled": "slowed",
}
"""The same in a word."""


def recent_chart(drawn: Sequence[Drawn]) -> ChartData:
    """What the device of the cursor's run did in the last minutes."""
    if not drawn or not drawn[0].curves.device:
        return ChartData(title="device, %", empty=no_device(drawn), own_x=True)
    one = drawn[0]
    last = one.curves.device[-1]["at"]
    samples = [
        Sample.at((row["at"] - last) / 60, row["gpu_util"]) for row in one.curves.device if row["gpu_util"] is not None
    ]
    title = f"{'CPU' if one.curves.device[-1]['source'] == 'cpu' else 'GPU'} utilisation, %"
    if not samples:
        return ChartData(title=title, empty="the device does not tell its utilisation", own_x=True)
    return ChartData(
        title=title,
        lines=[Line(samples=samples, ink=one.ink, sign=one.sign, max_gap=_GAP_MINUTES, key=one.row.run.id)],
        x_range=(min(samples[0].x, -1.0), 0.0),
        y_range=(0.0, 100.0),
        x_name="min",
        own_x=True,
        legend=[(words, "") for words in _power(one)],
    )


def _power(one: Drawn) -> list[str]:
    """What the device takes now, and what it took for the run."""
    watts = one.curves.device[-1].get("power_watts")
    now = f"{watts:.0f} W" if watts is not None and one.row.is_live else ""
    return list(filter(None, (now, device_words(one.row.run, one.curves.epochs))))


@dataclass(frozen=True, slots=True)
class _Stretches:
    """A series of the device with where on x nothing was sampled."""

    samples: list[Sample]
    gaps: list[float]


def device_chart(name: str, drawn: Sequence[Drawn], view: View) -> ChartData:
    """A figure of the device over the whole run: the mean of each stretch, and of the cursor's run its extremes."""
    shape = SHAPES[name]
    lines: list[Line] = []
    for one in reversed(drawn):
        found = _stretches(one, name, shape.factor, view)
        if not found.samples:
            continue
        samples = cut(found.samples, view.window)
        if one is drawn[0]:
            lines.append(Line(samples=samples, ink=one.faint_ink, band=True, gaps=found.gaps))
        lines.append(
            Line(
                samples=samples,
                ink=one.ink,
                sign=one.sign,
                gaps=found.gaps,
                name=_WORDS[name],
                key=one.row.run.id,
            )
        )
    if not lines:
        is_known = bool(drawn) and bool(drawn[0].curves.device_history)
        return ChartData(title=shape.title, empty="the device does not tell this" if is_known else no_device(drawn))
    legend = [("⣿ from lowest to highest", drawn[0].faint_ink)] if any(line.band for line in lines) else []
    return framed(shape, lines, drawn, view, legend=legend)


def device_samples(one: Drawn, name: str, factor: float, view: View) -> Sequence[Sample]:
    """A figure of the device over x, a sample for each stretch."""
    return _stretches(one, name, factor, view).samples


def _stretches(one: Drawn, name: str, factor: float, view: View) -> _Stretches:
    place, end = device_places(one, view), whole_range([one], view)[1]
    samples: list[Sample] = []
    gaps: list[float] = []
    before: Mapping[str, Any] | None = None
    for row in one.curves.device_history:
        values = _values(row, name)
        if values is None:
            continue
        x = place(row["at"]) if view.axis == "wall" else min(end, place(row["at"]))
        longest = max(_GAP_SECONDS, _GAP_STRETCHES * row["seconds"])
        if before is not None and row["at"] - before["at"] > longest and x > samples[-1].x:
            gaps.append((samples[-1].x + x) / 2)
        low, high, mean = values
        samples.append(Sample(x, low * factor, high * factor, mean * factor))
        before = row
    return _Stretches(samples, gaps)


def _values(row: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    """Lowest, highest and mean value of a stretch."""
    if name == "throttled":
        share = 100 * row["slowed"] / max(1, row["samples"])
        return share, share, share
    if not row[f"count_{name}"]:
        return None
    return row[f"low_{name}"], row[f"high_{name}"], row[f"sum_{name}"] / row[f"count_{name}"]
