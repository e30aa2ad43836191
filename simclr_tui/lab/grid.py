"""The grid of a benchmark on the screen: a line for each trial with a bar, and all of the chosen one below. Pure."""

from rich.cells import cell_len

from simclr_tui.format import UNKNOWN, fit, number, size
from simclr_tui.lab.bench import Bench, Line
from simclr_tui.lab.table import Column, sign, spread_words, waits
from simclr_tui.lab.words import interval_words, pair, ratio_words
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.lab.statistics import Interval, Spread
from trainer.options import show

_SIGN_CELLS = 3
_LONGEST_NAME, _SHORTEST_NAME = 46, 18
_SHORTEST_BAR = 6
_FIGURES = (
    Column("t_batch 1 / n, ms", lambda line: pair(line, "t_batch", 1000), 2),
    Column("t_epoch 1 / n, s", lambda line: pair(line, "t_epoch"), 3),
    Column("images/s", lambda line: number(line.median("images_per_second")), 5),
    Column("util %", lambda line: _whole(line.median("gpu_util")), 1),
    Column("waits %", lambda line: _whole(waits(line)), 4),
)
LEGEND = "★ fastest  ○ current  ▸ its turn  ✗ failed  █ images/s  ░ interval"


class Grid:
    """The lines of a benchmark, laid out for a width."""

    def __init__(self, bench: Bench, width: int) -> None:
        """Args: what is known of the benchmark, and the cells of a line."""
        self._bench = bench
        self._columns = [*_FIGURES]
        self._name = self._bar = 0
        longest = max((cell_len(line.trial.name) for line in bench.lines), default=0)
        for worth in range(len(_FIGURES) + 1):
            self._columns = [column for column in _FIGURES if column.worth > worth]
            self._widths = [self._width_of(column) for column in self._columns]
            room = width - _SIGN_CELLS - 4 - sum(self._widths) - 2 * len(self._widths) - 2
            self._name = max(_SHORTEST_NAME, min(longest, _LONGEST_NAME, room - _SHORTEST_BAR))
            self._bar = room - self._name
            if self._bar >= _SHORTEST_BAR and (self._name >= min(longest, 30) or len(self._columns) <= 3):
                break
        self._bar = max(0, self._bar)

    @property
    def bar_cells(self) -> int:
        """The cells of the bars, which are at the end of a line."""
        return self._bar

    def _width_of(self, column: Column) -> int:
        return max(len(column.title), *(cell_len(column.cell(line)) for line in self._bench.lines), 0)

    @property
    def heading(self) -> str:
        """What the columns are."""
        titles = "".join(f"  {column.title:>{wide}}" for column, wide in zip(self._columns, self._widths, strict=True))
        bar = "  " + fit("of the fastest" if self._bar > 14 else "", self._bar)
        return f"{'':{_SIGN_CELLS}} {'#':>2} {fit('trial', self._name)}{titles}{bar}"

    def line(self, line: Line) -> list[Part]:
        """One trial."""
        is_running = line is self._bench.under_way
        marks = fit(("▸" if is_running else "") + sign(line), _SIGN_CELLS)
        name_style = "bold $success" if line.is_best else "bold" if is_running else ""
        parts: list[Part] = [(marks, _sign_style(line)), f" {line.trial.number:>2} "]
        parts.append((fit(line.trial.name, self._name), MUTED if line.error or line.dropped else name_style))
        if line.error:
            room = sum(self._widths) + 2 * len(self._widths) + self._bar
            return [*parts, "  ", (fit(line.error, room), "$error")]
        for column, wide in zip(self._columns, self._widths, strict=True):
            text = column.cell(line)
            parts.append("  " + " " * (wide - cell_len(text)) + text)
        return [*parts, "  ", *self._bar_parts(line)]

    def _bar_parts(self, line: Line) -> list[Part]:
        """Images per second beside those of the fastest, the interval light."""
        best = self._bench.best
        rate, top = line.median("images_per_second"), best.median("images_per_second") if best else None
        if rate is None or not top:
            return []
        low, high = self._bounds(line, rate / top)
        most = max(1.0, *(self._bounds(one, _part(one, top))[1] for one in self._bench.lines if not one.error))
        full, end = round(low / most * self._bar), round(high / most * self._bar)
        style = "$success" if line.is_best else "$primary" if line.is_current else "$secondary"
        return [("█" * full, style), ("░" * max(0, end - full), style), " " * max(0, self._bar - max(full, end))]

    @staticmethod
    def _bounds(line: Line, part: float) -> tuple[float, float]:
        """Between what its speed lies as a part of the fastest one's; without an interval its median alone."""
        found = line.to_best
        return (part, part) if found is None else (1 / found.high, 1 / found.low)


def details(bench: Bench, line: Line) -> list[list[Part]]:
    """All that is known of one trial, a line each."""
    first: list[Part] = [(f"{line.trial.number} {line.trial.name}", "bold"), *_labels(line)]
    if line.error:
        return [first, [(f"✗ {line.error}", "$error")], [_setting_words(line)]]
    result = line.result
    to_current = "" if line.is_current else f"time / current {ratio_words(line)} · "
    to_best = f"time / fastest {_ratio(line.to_best)} · " if line.to_best and not line.is_best else ""
    rounds = f"{len(result.rounds) if result else 0} of {bench.rounds} rounds"
    steps = f", {result.steps} steps of an epoch" if result and result.steps else ""
    second: list[Part] = [f"{to_current}{to_best}{rounds}{steps}"]
    if line.dropped:
        second.append((f" · left out early: {line.dropped}", MUTED))
    third: list[Part] = []
    if result is not None:
        spreads = result.spreads
        device = f" · device {size(result.device_memory_bytes)}" if result.device_memory_bytes is not None else ""
        third = [
            f"t_batch n {_range(spreads.get('t_batch_next'), 1000)} ms · "
            f"t_epoch n {_range(spreads.get('t_epoch_next'))} s · images/s {spread_words(line)} % · "
            f"warm-up {number(result.warmup_seconds)} s · host {size(result.host_memory_bytes)}{device}"
        ]
    return [first, second, third, [_note_words(line) or _setting_words(line)]]


def _labels(line: Line) -> list[Part]:
    words = [word for word, holds in (("fastest", line.is_best), (line.reference, line.is_current)) if holds]
    return [(f"  {', '.join(words)}", MUTED)] if words else []


def _setting_words(line: Line) -> Part:
    words = [f"{name.replace('_', '-')} {show(value)}" for name, value in line.trial.settings.items()]
    return (" · ".join(words) if words else "no setting differs from the current ones", MUTED)


def _note_words(line: Line) -> Part | None:
    """The notes' own figures, from their own machine."""
    note = line.trial.note
    if note is None or note.t_epoch is None:
        return None
    after = f" n {note.t_epoch_next}" if note.t_epoch_next else ""
    batch = f"{note.t_batch} n {note.t_batch_next}"
    remark = f" · {note.remark}" if note.remark else ""
    return (
        f"the notes, on their machine: t_batch {batch} s (mostly launching) · t_epoch {note.t_epoch}{after} s{remark}",
        MUTED,
    )


def _ratio(interval: Interval | None) -> str:
    return UNKNOWN if interval is None else interval_words(interval)


def _range(found: Spread | None, factor: float = 1.0) -> str:
    if found is None:
        return UNKNOWN
    return f"{number(found.median * factor)} ({number(found.low * factor)}–{number(found.high * factor)})"


def _part(line: Line, top: float) -> float:
    return (line.median("images_per_second") or 0.0) / top


def _sign_style(line: Line) -> str:
    return "$error" if line.error else "bold $success" if line.is_best else "bold $primary"


def _whole(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f}"
