"""How fast compared runs are, and what they cost. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from simclr_tui.compare.rows import Figure, Measure, line_of
from simclr_tui.compare.side import Side, time_note
from simclr_tui.compare.table import Better, Cell, Delta, Group, Line
from simclr_tui.format import UNKNOWN, count, duration, number, size

_ENDED = ("paused", "stopped", "finished", "failed")
"""Lifecycle events whose time is that of a run's end, as far as it has come."""

_SAME_SIZE = 0.02
"""Epochs whose images differ by a smaller part count as of one size."""

_SAMPLED = ("peak memory, card", "peak memory, process")
"""Rows that are left out where nothing of the kind was sampled of any run."""

_STEP = Measure("t_batch", "ms", Better.LOWER, Delta.PERCENT)
_RATE = Measure("images/s", "", Better.HIGHER, Delta.PERCENT)
_PART = Measure("waits for data", "%", Better.LOWER, Delta.POINTS, lambda value: f"{value:.1f}")
_BYTES = Measure("checkpoints on disk", "", delta=Delta.PERCENT, show=size)
_SECONDS = Measure("time trained", "", Better.LOWER, Delta.PERCENT, duration)
_COUNT = Measure("epochs", show=lambda value: count(round(value)))


def speed(sides: Sequence[Side]) -> Group:
    """Medians over the newest epochs of each run."""
    batches = {side.run.batch_size for side in sides if side.run.batch_size}
    sizes = [images for side in sides if (images := side.epoch_images)]
    same_epochs = not sizes or max(sizes) - min(sizes) <= _SAME_SIZE * max(sizes)
    step = ("not comparable: steps of other batch sizes", False) if len(batches) > 1 else (time_note(sides), True)
    epoch = (
        (time_note(sides), True) if same_epochs else ("not comparable: epochs of different numbers of images", False)
    )

    def row(measure: Measure, of: Callable[[Side], float | None], judged: tuple[str, bool]) -> Line:
        return line_of(measure, [Figure(of(side)) for side in sides], note=judged[0], is_comparable=judged[1])

    lines = [
        row(_STEP, lambda side: _median(side, "t_batch", 1000), step),
        row(replace(_STEP, name="t_data"), lambda side: _median(side, "t_data", 1000), step),
        row(replace(_STEP, name="t_epoch", unit="s"), lambda side: _median(side, "t_epoch"), epoch),
        row(_RATE, lambda side: _median(side, "images_per_second"), (time_note(sides), True)),
        row(_PART, _waiting, (time_note(sides), True)),
        row(replace(_PART, name="device idle"), _idle, (time_note(sides), True)),
        Line(name="device", cells=[_words(side.run.device) for side in sides]),
    ]
    return Group("speed, medians of the last 5 epochs", lines)


def cost(sides: Sequence[Side]) -> Group:
    """What each run has taken so far: seconds, work, energy, room."""
    uneven = len({side.run.step for side in sides}) > 1
    judged = ("not comparable: after different numbers of steps", False) if uneven else (time_note(sides), True)

    def row(measure: Measure, of: Callable[[Side], float | None], note: str = "", is_comparable: bool = True) -> Line:
        return line_of(measure, [Figure(of(side)) for side in sides], note=note, is_comparable=is_comparable)

    lines = [
        row(_SECONDS, lambda side: side.run.trained_seconds, *judged),
        row(replace(_SECONDS, name="wall time, with pauses"), wall_seconds, *judged),
        row(_COUNT, lambda side: side.last_epoch or None),
        row(replace(_COUNT, name="steps"), lambda side: side.run.step),
        row(replace(_SECONDS, name="energy, card", show=_energy), _kwh, *judged),
        row(_BYTES, lambda side: sum(one.bytes for one in side.drawn.curves.checkpoints) or None),
        row(
            replace(_BYTES, name=_SAMPLED[0], better=Better.LOWER),
            lambda side: side.totals.device_memory_bytes,
            "with whatever else ran on the card",
        ),
        row(
            replace(_BYTES, name=_SAMPLED[1], better=Better.LOWER),
            lambda side: side.totals.process_memory_bytes,
        ),
    ]
    return Group("cost", [line for line in lines if _is_known(line) or line.name not in _SAMPLED])


def _is_known(line: Line) -> bool:
    return any(cell.value is not None for cell in line.cells)


def wall_seconds(side: Side) -> float | None:
    """Seconds from its first start to its end, or to the last sign of progress, pauses included."""
    run, began = side.run, side.totals.began_at
    end = run.lifecycle_at if run.lifecycle in _ENDED else run.progress_at
    return None if began is None or end is None else max(0.0, end - began)


def _median(side: Side, name: str, factor: float = 1.0) -> float | None:
    values = side.recent(name)
    return factor * median(values) if values else None


def _waiting(side: Side) -> float | None:
    """The part of its steps in which the host waited for the next batch, in %."""
    computing, waiting = _median(side, "t_batch"), _median(side, "t_data")
    if computing is None or waiting is None or computing + waiting <= 0:
        return None
    return 100 * waiting / (computing + waiting)


def _idle(side: Side) -> float | None:
    """The part of its epochs in which the device waited between two steps, in %."""
    rows = [row for row in side.drawn.curves.epochs[-5:] if row.get("t_idle") is not None and row.get("t_epoch")]
    return 100 * median(row["t_idle"] / row["t_epoch"] for row in rows) if rows else None


def _kwh(side: Side) -> float | None:
    joules = side.totals.energy_joules
    return None if joules is None else joules / 3.6e6


def _energy(kwh: float) -> str:
    return f"{number(kwh)} kWh" if kwh >= 1 else f"{number(1000 * kwh)} Wh"


def _words(text: str | None) -> Cell:
    return Cell(text=text or UNKNOWN, value=text)
