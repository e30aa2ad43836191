"""From the figures of some runs to a row: which is the best, and how each differs from the first run's. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simclr_tui.compare.table import Better, Cell, Delta, Line
from simclr_tui.format import UNKNOWN, number

_SMALLEST_PERCENT = 0.5
"""Smaller differences read as none."""
_TENFOLD = 900.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One run's value of a row."""

    value: float | None
    """In the row's unit."""
    epoch: int | None = None
    """Of which epoch it is, where that says something."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a row is made from figures."""

    name: str
    unit: str = ""
    better: Better = Better.NEITHER
    delta: Delta = Delta.NONE
    show: Callable[[float], str] = number


def line_of(measure: Measure, figures: Sequence[Figure], *, note: str = "", is_comparable: bool = True) -> Line:
    """A row of figures, the first run's first.

    Args:
        measure: what they are.
        figures: one a run.
        note: what has to be known about them.
        is_comparable: False where a difference would mean nothing, so that none is marked.
    """
    texts = [UNKNOWN if one.value is None else measure.show(one.value) for one in figures]
    best = _best(measure, figures, texts) if is_comparable else set()
    cells = []
    for number_, (figure, text) in enumerate(zip(figures, texts, strict=True)):
        difference = _difference(measure.delta, figures[0].value, figure.value) if number_ and is_comparable else None
        if text == texts[0] and difference is not None:  # what reads alike differs by nothing
            difference = 0.0
        cells.append(
            Cell(
                text=text,
                value=figure.value,
                epoch=figure.epoch if figure.value is not None else None,
                is_best=number_ in best,
                delta=delta_words(measure.delta, difference, text),
                difference=difference,
            )
        )
    return Line(
        name=measure.name, cells=cells, unit=measure.unit, better=measure.better, delta=measure.delta, note=note
    )


def _best(measure: Measure, figures: Sequence[Figure], texts: Sequence[str]) -> set[int]:
    """Places of the best value and of those that are no worse; none where that is all of them, or one alone is known.

    What reads alike is alike, and so are times that differ by less than is shown of a difference.
    """
    known = {place: figure.value for place, figure in enumerate(figures) if figure.value is not None}
    if measure.better is Better.NEITHER or len(known) < 2:
        return set()
    best = (min if measure.better is Better.LOWER else max)(known, key=lambda place: known[place])
    near = _SMALLEST_PERCENT / 100 * abs(known[best]) if measure.delta is Delta.PERCENT else 0.0
    alike = {place for place in known if texts[place] == texts[best] or abs(known[place] - known[best]) < near}
    return alike if len(alike) < len(known) else set()


def _difference(delta: Delta, first: float | None, value: float | None) -> float | None:
    if first is None or value is None or delta is Delta.NONE:
        return None
    if delta is Delta.PERCENT:
        return 100 * (value / first - 1) if first > 0 else None
    return value - first


def delta_words(delta: Delta, difference: float | None, text: str) -> str:
    """A difference as it is shown: +1.2, −12 %, ±0; from tenfold on how many times as much it is.

    Args:
        delta: how it is meant.
        difference: the number; None where there is none.
        text: the value as it is shown, which has as many decimals.
    """
    if difference is None:
        return ""
    if delta is Delta.PERCENT:
        if difference >= _TENFOLD:
            return f"× {number(1 + difference / 100, 2)}"
        is_small = abs(difference) < _SMALLEST_PERCENT
        return "±0 %" if is_small else f"{_sign(difference)}{abs(difference):.0f} %"
    shown = f"{abs(difference):.{len(text.partition('.')[2])}f}"
    return f"{_sign(difference)}{shown}" if any(digit in "123456789" for digit in shown) else "±0"


def _sign(value: float) -> str:
    return "+" if value > 0 else "−"
