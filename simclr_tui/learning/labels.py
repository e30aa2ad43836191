"""How few labels are enough: accuracy over labels per class, as a chart and a table. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from simclr_tui.charts.drawn import SIGNS
from simclr_tui.findings import Key
from simclr_tui.format import count, fit, percent
from simclr_tui.learning.look import Look, table_row
from simclr_tui.plot.draw import ChartData, Line
from simclr_tui.plot.series import Sample
from simclr_tui.theme import MUTED, RUN_COLOURS
from simclr_tui.words import Part
from trainer.evaluation.names import PROTOCOLS

if TYPE_CHECKING:
    from trainer.evaluation.intervals import Interval

TITLE = "labels"
LONG_TITLE = "accuracy over labels per class, %"

_CELL = 9
_NAME = 18
_MARGIN = 0.06

_SHORT = {"linear-adamw": "AdamW", "linear-folds": "folds", "finetune": "tuned"}

Curves = Mapping[Key, Mapping[int, "Interval"]]


def digest(look: Look) -> Content:
    """What the fewest and the most labels give."""
    curves = curves_of(look)
    if not curves:
        return look.status("labels", "not scored yet")
    (layer, protocol), points = max(curves.items(), key=lambda item: max(one.mean for one in item[1].values()))
    ends = sorted({min(points), max(points)})
    words = ", ".join(f"{percent(points[number].mean)} % with {count(number)}" for number in ends)
    return Content(f"{words} per class ({_short(layer, protocol)})")


def curves_of(look: Look, dataset: str = "") -> Curves:
    """Every curve of a data set: probes on frozen features first, then fine-tuning."""
    found: dict[Key, Mapping[int, Interval]] = {}
    for way in ("labels", "finetune"):
        study = look.study(way, dataset)
        found |= study.curves if study is not None else {}
    return found


def chart(look: Look) -> ChartData:
    """Accuracy over the number of labels, logarithmic, with 95 % intervals; a dashed line for a supervised run."""
    curves = curves_of(look)
    if not curves:
        made = "".join(part if isinstance(part, str) else part[0] for part in look.missing("labels", "labels curve"))
        return ChartData(title=LONG_TITLE, empty=made)
    places = _drawn(curves)
    lines = [_line(curves[key], _ink(place), _sign(place)) for key, place in places.items()]
    samples = [sample for line in lines for sample in line.samples]
    levels = [(100 * one.top1, f"{one.name} {percent(one.top1)}") for one in look.learning.baselines]
    values = [value for sample in samples for value in (sample.low, sample.high)] + [value for value, _ in levels]
    margin = (max(values) - min(values)) * _MARGIN or 1.0
    numbers = sorted({sample.x for sample in samples})
    return ChartData(
        title=LONG_TITLE,
        lines=lines,
        x_range=(numbers[0], numbers[-1]),
        y_range=(max(0.0, min(values) - margin), min(100.0, max(values) + margin)),
        x_ticks=numbers,
        x_log=True,
        levels=levels,
    )


def body(look: Look, width: int) -> Content:
    """The chart's figures, mean ± 95 % interval, and those of other data sets."""
    parts: list[Part] = []
    for dataset in ("", *look.learning.findings.transfers):
        to = f"transfer to {dataset}, " if dataset else ""
        for way, what in (("labels", "frozen features"), ("finetune", "fine-tuned")):
            study = look.study(way, dataset)
            if study is not None:
                places = _drawn(curves_of(look)) if not dataset else {}
                parts += ["\n" if parts else "", *([] if dataset else look.going_on(way))]
                parts += look.heading(study, to + what)
                parts += _table(study.curves, places, width)
    return Content.assemble(*parts, *(_notes(look) if parts else []))


def _drawn(curves: Curves) -> dict[Key, int]:
    """The curves that have a line, with their place, from which colour and sign follow: all would be a tangle."""
    keys = [(layer, protocol) for layer, protocol in curves if layer == "h" or protocol in ("linear", "finetune")]
    return {key: place for place, key in enumerate(keys or curves)}


def _line(points: Mapping[int, "Interval"], ink: str, sign: str) -> Line:
    samples = []
    for number, one in points.items():
        low, high = one.ends or (one.mean, one.mean)
        samples.append(Sample(number, 100 * low, 100 * high, 100 * one.mean))
    return Line(samples=samples, ink=ink, sign=sign, points=True)


def _table(curves: Curves, places: Mapping[Key, int], width: int) -> list[Part]:
    """A line for each curve, with the sign and the colour of its line in the chart, if it has one."""
    numbers = _fitting(sorted({number for points in curves.values() for number in points}), (width - _NAME) // _CELL)
    widths = [_NAME] + [_CELL] * len(numbers)
    parts = table_row(["labels per class", *map(count, numbers)], widths, [MUTED] * len(widths))
    for (layer, protocol), points in curves.items():
        cells = [_cell(points[number]) if number in points else "" for number in numbers]
        place = places.get((layer, protocol))
        sign, style = (" ", "") if place is None else (_sign(place), f"${_ink(place)}")
        name = fit(f"{sign} {_short(layer, protocol)}", _NAME)
        parts += table_row([name, *cells], widths, [style] + [""] * len(cells))
    return parts


def _cell(one: "Interval") -> str:
    if one.half_width is None:
        return percent(one.mean)
    half = 100 * one.half_width
    return f"{percent(one.mean)}±{half:.{1 if half < 9.95 else 0}f}"


def _fitting(numbers: Sequence[int], most: int) -> list[int]:
    """As many numbers as there is room for, the first and the last among them."""
    most = max(1, most)
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[place * (len(numbers) - 1) // max(1, most - 1)] for place in range(most)]


def _notes(look: Look) -> list[Part]:
    parts: list[Part] = [(f"╌ supervised run {one.name}: {percent(one.top1)}\n", "") for one in look.learning.baselines]
    parts.append(("± 95 % interval of the mean over draws of the labels", MUTED))
    if look.study("finetune") is None:
        parts.append((f"\nfine-tuning: {look.command('finetune')}", MUTED))
    return parts


def _short(layer: str, protocol: str) -> str:
    return f"{layer} {_SHORT.get(protocol, PROTOCOLS[protocol])}"


def _ink(place: int) -> str:
    return f"run-{place % RUN_COLOURS}"


def _sign(place: int) -> str:
    return SIGNS[place % len(SIGNS)]
