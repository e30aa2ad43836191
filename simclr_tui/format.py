"""Figures and times as text; "–" where nothing is known yet. Pure."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

from trainer.energy_use import JOULES_PER_KWH

UNKNOWN = "–"

SIGNS: Mapping[str, str] = {
    "queued": "◌",
    "starting": "◔",
    "running": "▶",
    "pausing": "◑",
    "paused": "‖",
    "stopping": "◑",
    "stopped": "■",
    "finished": "✓",
    "failed": "✗",
    "interrupted": "!",
    "stalled": "?",
}
"""One sign for each state of a run."""

HEALTH_SIGNS: Mapping[str, str] = {"good": "✓", "unsure": "·", "warning": "▲", "sick": "✖"}
"""One sign for each level of a run's health."""

_LEVELS = "▁▂▃▄▅▆▇█"


def number(value: float | None, digits: int = 3) -> str:
    """A figure with about so many significant digits: 6.24, 0.0512, 1,234."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    if decimals <= 0:
        return f"{value:,.0f}"
    return f"{value:.{decimals}f}" if decimals <= 6 else f"{value:.{digits - 1}e}"


def tick(value: float) -> str:
    """An axis label, as short as it can be: 0, 0.5, 250, 12.5k, 1e+29."""
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    if abs(value) >= 1_000_000:
        return f"{value / 1e6:.6g}M"
    if abs(value) >= 10_000:
        return f"{value / 1000:.6g}k"
    return f"{value:.4g}"


def count(value: int | None) -> str:
    """A whole number with thousands apart."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """An accuracy from 0 to 1 as percent, without the sign."""
    return UNKNOWN if fraction is None else f"{100 * fraction:.{digits}f}"


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: 42 s, 3 min 20 s, 5 h 3 min, 2 d 4 h."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = round(seconds)
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (size, name), (small, small_name) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"


def clock(at: float, *, seconds: bool = False) -> str:
    """A time of day in the machine's zone."""
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", time.localtime(at))


def moment(at: float, now: float) -> str:
    """A time of day, with the date where it is not today's."""
    same_day = time.localtime(at)[:3] == time.localtime(now)[:3]
    return clock(at) if same_day else time.strftime("%d %b %H:%M", time.localtime(at))


def size(byte_count: float | None) -> str:
    """Bytes in the largest binary unit: 61 GiB."""
    if byte_count is None:
        return UNKNOWN
    value = float(byte_count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.3g} GiB" if value < 1000 else f"{value:,.0f} GiB"


def energy(joules: float | None) -> str:
    """Energy as electricity is counted: 0.43 Wh, 412 Wh, 2.10 kWh; less than a tenth of a Wh in joules."""
    if joules is None:
        return UNKNOWN
    unit, name = energy_unit(joules)
    return f"{number(joules / unit)} {name}"


def energy_unit(joules: float) -> tuple[float, str]:
    """The unit that some energy is shown in: the joules that it has, and its name."""
    if joules < 1e-4 * JOULES_PER_KWH:
        return 1.0, "J"
    return (JOULES_PER_KWH, "kWh") if joules >= JOULES_PER_KWH else (JOULES_PER_KWH / 1000, "Wh")


def bar(fraction: float, cells: int) -> str:
    """A bar in eighths of a cell, padded to its width."""
    eighths = round(min(1.0, max(0.0, fraction)) * cells * 8)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")
    return text.ljust(cells)


def fit(text: str, width: int) -> str:
    """Text padded or cut to a width in terminal cells; what is cut ends in an ellipsis."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "…"


def sparkline(values: Sequence[float], cells: int) -> str:
    """A series as a row of small bars, each the mean of its stretch, from the lowest to the highest of them."""
    values = [value for value in values if math.isfinite(value)]
    if not values or cells < 1:
        return ""
    count = min(cells, len(values))
    edges = [number * len(values) // count for number in range(count + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    return "".join(_LEVELS[round((mean - low) / span * (len(_LEVELS) - 1)) if span else 0] for mean in means)
