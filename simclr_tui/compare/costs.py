"""How fast compared runs are, and what they cost. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import median

from simclr_tui.compare.rows import Figure, Measure, line_of
from simclr_tui.compare.side import Side, time_note
from simclr_tui.compare.table import Better, Cell, Delta, Group, Line
from simclr_tui.energy_words import is_on_cpu
from simclr_tui.format import UNKNOWN, count, duration, energy, size
from simclr_tui.price import Price
from trainer.energy_use import CARD, CPU, JOULES_PER_KWH, energy_of, kwh, rank_count

_ENDED = ("paused", "stopped", "finished", "failed")
"""Lifecycle events whose time is that of a run's end, as far as it has come."""

_SAME_SIZE = 0.02
"""Epochs whose images differ by a smaller part count as of one size."""

_OWN = "not comparable: of a fork what came after the fork alone"

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

    row = partial(_row, sides)
    lines = [
        row(_STEP, lambda side: _median(side, "t_batch", 1000), *step),
        row(replace(_STEP, name="t_data"), lambda side: _median(side, "t_data", 1000), *step),
        row(replace(_STEP, name="t_epoch", unit="s"), lambda side: _median(side, "t_epoch"), *epoch),
        row(_RATE, lambda side: _median(side, "images_per_second"), time_note(sides)),
        row(_PART, _waiting, time_note(sides)),
        row(replace(_PART, name="device idle"), _idle, time_note(sides)),
        Line(name="device", cells=[_words(side.run.device) for side in sides]),
    ]
    return Group("speed, medians of the last 5 epochs", lines)


def cost(sides: Sequence[Side], price: Price | None = None) -> Group:
    """What each run has taken so far: seconds, work, energy, money where its price is known, room."""
    uneven = len({side.run.step for side in sides}) > 1
    judged = ("not comparable: after different numbers of steps", False) if uneven else (time_note(sides), True)
    branched = len({side.run.parent_step or 0 for side in sides}) > 1
    own = (_OWN, False) if branched else judged
    row = partial(_row, sides)
    peak = replace(_BYTES, better=Better.LOWER)
    on_card, in_process = replace(peak, name="peak memory, card"), replace(peak, name="peak memory, process")
    lines = [
        row(_SECONDS, lambda side: side.run.trained_seconds, *judged),
        row(replace(_SECONDS, name="wall time, with pauses"), wall_seconds, *own),
        row(_COUNT, lambda side: side.last_epoch or None),
        row(replace(_COUNT, name="steps"), lambda side: side.run.step),
        *_energy_lines(sides, price, *own),
        row(_BYTES, lambda side: sum(one.bytes for one in side.drawn.curves.checkpoints) or None),
        *_if_known(row(on_card, lambda side: side.totals.device_memory_bytes, "with whatever else ran on the card")),
        *_if_known(row(in_process, lambda side: side.totals.process_memory_bytes)),
    ]
    return Group("cost", lines)


def _row(
    sides: Sequence[Side],
    measure: Measure,
    of: Callable[[Side], float | None],
    note: str = "",
    is_comparable: bool = True,
) -> Line:
    return line_of(measure, [Figure(of(side)) for side in sides], note=note, is_comparable=is_comparable)


def _if_known(line: Line) -> list[Line]:
    """A row of what is not sampled everywhere; none where nothing of the kind is known of any run."""
    return [line] if any(cell.value is not None for cell in line.cells) else []


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


def _energy_lines(sides: Sequence[Side], price: Price | None, note: str, is_comparable: bool) -> list[Line]:
    """Of the card, of the processors, of the one that trains for 1,000 images, and what card and processors cost."""
    estimated = "estimated from power" if any(side.run.energy_source == "power" for side in sides) else ""
    several = "of all ranks' cards" if any(rank_count(side.run) > 1 for side in sides) else ""
    card_note = "; ".join(filter(None, (note, estimated, several)))
    image_note = "; ".join(filter(None, (time_note(sides), "of the device that trains, mean of the last 5 epochs")))
    of_card = replace(_SECONDS, name="energy, card", show=_energy)
    of_cpu, of_images = replace(of_card, name="energy, CPU"), replace(of_card, name="energy for 1,000 images")
    row = partial(_row, sides)
    lines = [
        row(of_card, lambda side: kwh(side.totals.energy_joules), card_note, is_comparable),
        *_if_known(row(of_cpu, lambda side: kwh(side.run.cpu_energy_joules), note, is_comparable)),
        *_if_known(row(of_images, _per_thousand, image_note)),
    ]
    if price is not None:
        bill = replace(_SECONDS, name="electricity", show=price.show)
        if len({_unmeasured(side) for side in sides if _bill(side, price) is not None}) > 1:
            note, is_comparable = "not comparable: of some the processors or the card were not measured", False
        lines += _if_known(row(bill, lambda side: _bill(side, price), note, is_comparable))
    return lines


def _unmeasured(side: Side) -> tuple[bool, bool]:
    """Whether the energy of its card and of its processors is not known; a run on the processors has no card."""
    run = side.run
    return side.totals.energy_joules is None and not is_on_cpu(run), run.cpu_energy_joules is None


def _energy(amount: float) -> str:
    return energy(amount * JOULES_PER_KWH)


def _bill(side: Side, price: Price) -> float | None:
    known = [joules for joules in (side.totals.energy_joules, side.run.cpu_energy_joules) if joules is not None]
    return price.of(sum(known)) if known else None


def _per_thousand(side: Side) -> float | None:
    """kWh of the device for 1,000 images, mean of the newest epochs."""
    name = CPU if is_on_cpu(side.run) else CARD
    joules = energy_of(side.run, side.drawn.curves.epochs, name).epoch
    return kwh(joules / side.epoch_images * 1000) if joules is not None and side.epoch_images else None


def _words(text: str | None) -> Cell:
    return Cell(text=text or UNKNOWN, value=text)
