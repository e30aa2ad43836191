"""The table of a benchmark for the command line: columns that are left out, least important first, to fit. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from simclr_tui.format import UNKNOWN, fit, number, size
from simclr_tui.lab.bench import Bench, Line
from simclr_tui.lab.words import pair, ratio_words

_GAP = 2
_SHORTEST_NAME = 22


@dataclass(frozen=True, slots=True)
class Column:
    """What one column says of each trial."""

    title: str
    cell: Callable[[Line], str]
    worth: int
    """Those of the lowest go first where there is no room; 9 stays."""
    is_right: bool = True


def sign(line: Line) -> str:
    """Marks the fastest trial, the current settings and one that failed."""
    return ("✗" if line.error else "") + ("★" if line.is_best else "") + ("○" if line.is_current else "")


_NUMBER = Column("#", lambda line: str(line.trial.number), 9)
_SIGN = Column("", sign, 9, is_right=False)
_NAME = Column("trial", lambda line: line.trial.name, 9, is_right=False)

SPEED = (
    _NUMBER,
    _SIGN,
    _NAME,
    Column("t_batch 1 / n, ms", lambda line: pair(line, "t_batch", 1000), 3),
    Column("t_epoch 1 / n, s", lambda line: pair(line, "t_epoch"), 6),
    Column("images/s", lambda line: number(line.median("images_per_second")), 7),
    Column("time / current", ratio_words, 8, is_right=False),
)
"""How fast each trial is."""

MACHINE = (
    _NUMBER,
    _SIGN,
    _NAME,
    Column("util %", lambda line: _whole(line.median("gpu_util")), 7),
    Column("waits %", lambda line: _whole(waits(line)), 8),
    Column("host", lambda line: size(line.result.host_memory_bytes if line.result else None), 5),
    Column("device", lambda line: size(line.result.device_memory_bytes if line.result else None), 6),
    Column("spread %", lambda line: spread_words(line), 4),
    Column("warm-up s", lambda line: number(line.result.warmup_seconds if line.result else None), 3),
    Column("rounds", lambda line: str(len(line.result.rounds)) if line.result else "0", 7),
)
"""What each trial needs, how it used the device, and how well it is known."""

NOTES = (
    _NUMBER,
    _NAME,
    Column("t_batch, ms", lambda line: pair(line, "t_batch", 1000), 4),
    Column("notes", lambda line: _noted(line, "t_batch", 1000), 4),
    Column("t_epoch, s", lambda line: pair(line, "t_epoch"), 8),
    Column("notes", lambda line: _noted(line, "t_epoch"), 8),
)
"""The notes' own figures beside ours, of epoch 1 / n."""


def fitted(columns: Sequence[Column], bench: Bench, width: int) -> list[str]:
    """A heading and a line for each trial, no longer than `width` cells."""
    kept = list(columns)
    while True:
        cells = [[column.title for column in kept]]
        cells += [[column.cell(line) for column in kept] for line in bench.lines]
        widths = [max(cell_len(row[at]) for row in cells) for at in range(len(kept))]
        over = sum(widths) + _GAP * (len(kept) - 1) - width
        name = kept.index(_NAME)
        if over <= max(0, widths[name] - _SHORTEST_NAME):
            widths[name] -= max(0, over)
            return [_line(kept, row, widths) for row in cells]
        lowest = min(column.worth for column in kept)
        if lowest == _NAME.worth:
            widths[name] = max(1, widths[name] - over)
            return [_line(kept, row, widths) for row in cells]
        kept = [column for column in kept if column.worth != lowest]


def _line(columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]) -> str:
    cells = []
    for column, text, width in zip(columns, row, widths, strict=True):
        blanks = " " * max(0, width - cell_len(text))
        cells.append(blanks + text if column.is_right else fit(text, width))
    return (" " * _GAP).join(cells).rstrip()


def spread_words(line: Line) -> str:
    """Half the distance of the quartiles of images/s, in percent of the median."""
    found = line.result.spreads.get("images_per_second") if line.result else None
    if found is None or not found.median:
        return UNKNOWN
    return f"± {50 * (found.upper_quartile - found.lower_quartile) / found.median:.1f}"


def waits(line: Line) -> float | None:
    """Percent of the next epoch in which the device waited between steps."""
    idle = line.median("idle")
    return None if idle is None else 100 * idle


def _whole(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"


def _noted(line: Line, figure: str, factor: float = 1.0) -> str:
    """The notes' own figure of epoch 1 and of epoch n."""
    if line.trial.note is None:
        return UNKNOWN
    values = [getattr(line.trial.note, figure), getattr(line.trial.note, f"{figure}_next")]
    if values == [None, None]:
        return UNKNOWN
    return " / ".join(UNKNOWN if value is None else f"{value * factor:.4g}" for value in values)
