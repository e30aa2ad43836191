"""Whether a run learns: the trainer's verdict, the rule behind it, and the figures that it judges by. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.content import Content

from simclr_tui.format import UNKNOWN, count, fit, number, sparkline
from simclr_tui.learning.look import Look
from simclr_tui.learning.verdict import health_words
from simclr_tui.model import setting
from simclr_tui.objective import loss_chance, method_of
from simclr_tui.theme import MUTED
from simclr_tui.words import Part, failure
from trainer import judge

TITLE = "health"

_NAME, _LAST, _GAP = 19, 11, 2
_MOST_TREND = 24
_HEALTHY = 29
"""Widths of the columns: a figure's name, its last value, and what is healthy."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A health series, what it is called, and what it should be."""

    name: str
    words: str
    healthy: str
    digits: int = 3


_FIGURES = (
    _Figure("rank_z", "rank of z", f"tens; under {judge.RANK:g} may be collapse", 2),
    _Figure("rank_h", "rank of h", f"tens; under {judge.RANK_H:g} is collapse", 2),
    _Figure("std_z", "spread of z", f"over {judge.BUNCHED_STD:g}; 1 is even"),
    _Figure("std_h", "spread of h", "away from 0"),
    _Figure("spread_h", "variation of h", f"over {judge.SPREAD_H:g}; 0 is dead"),
    _Figure("alignment", "alignment", "near 0; 2 is chance"),
    _Figure("uniformity", "uniformity", "under −0.5, falling; 0 is collapse"),
    _Figure("similarity_positive", "positive similarity", "near 1, above the next"),
    _Figure("similarity_negative", "negative similarity", "near 0"),
)
"""In the order of the table. Bounds are those of the rules in trainer.judge."""

_RANK_OF_LABELS = "about classes − 1, or more"
"""Labels may rightly leave no more directions than tell the classes apart."""


def digest(look: Look) -> Content:
    """The verdict in a line."""
    parts = health_words(look.row)
    return Content.assemble(*parts) if parts else Content.styled(_no_verdict(look), MUTED)


def body(look: Look, width: int) -> Content:
    """The verdict with its rule, and every figure with its trend and what is healthy."""
    run = look.row.run
    why = failure(look.curves) if look.row.state == "failed" else ""
    parts: list[Part] = [(f"✗ failed: {why}\n", "$error")] if why else []
    parts += health_words(look.row) or [(_no_verdict(look), MUTED)]
    if run.health_rule:
        parts += ["\n", (f"rule: {run.health_rule} (docs/health.md says what it was measured on)", MUTED)]
    parts += ["\n\n", *_table(look, width)]
    return Content.assemble(*parts)


def _no_verdict(look: Look) -> str:
    if not method_of(look.row.run):
        return f"{look.row.run.name} is of kind {look.row.run.kind}, which learns nothing of its own"
    if look.row.is_live:
        return "no verdict yet; the trainer gives one at the end of each epoch"
    return "no verdict: no epoch has ended" if not look.row.run.epoch else "no verdict of this run"


def _table(look: Look, width: int) -> list[Part]:
    """Name, last value, trend and what is healthy; a narrow screen has a shorter trend."""
    trend = max(0, min(_MOST_TREND, width - _NAME - _LAST - _GAP - _HEALTHY - _GAP))
    rows = _rows(look)
    heading = (_line("figure", "last", "trend"[:trend], "healthy", trend, width), MUTED)
    parts: list[Part] = [heading] if rows else []
    for words, series, last, healthy in rows:
        parts.append(_line(words, last, sparkline(series, trend), healthy, trend, width))
    measured = max((series[-1][0] for series in look.curves.metrics.values() if series), default=None)
    if measured is None:
        every = setting(look.row, "health_every", 1)
        parts.append((_no_figures(every), MUTED))
    else:
        parts.append((f"embeddings measured at step {count(measured)}", MUTED))
    return parts


def _no_figures(every: int) -> str:
    if not every:
        return "the embeddings are not measured (--health-every 0)"
    return "the embeddings are not measured yet; that comes at the end of an epoch"


def _line(words: str, last: str, trend: str, healthy: str, cells: int, width: int) -> str:
    middle = f"{' ' * _GAP}{trend.ljust(cells)}" if cells else ""
    return fit(f"{words:<{_NAME}}{last:>{_LAST}}{middle}{' ' * _GAP}{healthy}", width).rstrip() + "\n"


def _rows(look: Look) -> list[tuple[str, Sequence[float], str, str]]:
    """Words, series, last value and what is healthy, of everything that is known."""
    epochs = look.curves.epochs
    rows: list[tuple[str, Sequence[float], str, str]] = []

    def of_epochs(name: str, words: str, healthy: str, show: Callable[[float], str]) -> None:
        series = [row[name] for row in epochs if row.get(name) is not None]
        if series:
            rows.append((words, series, show(series[-1]), healthy))

    chance = loss_chance(look.row.run)
    below = f"below chance, {number(chance)}" if chance else "falls"
    of_epochs("loss", "loss", below, number)
    of_epochs("val_loss", "loss on held-out", f"{below}; no rise", number)
    of_epochs("knn_top1", "kNN top-1, %", "rises", lambda value: f"{100 * value:.1f}")
    method = method_of(look.row.run)
    is_supervised, is_classifier = method in ("supcon", "cross-entropy"), method == "cross-entropy"
    for figure in _FIGURES:
        series = [value for _, value in look.curves.metrics.get(figure.name, ())]
        if series:
            last = number(series[-1], figure.digits).replace("-", "−")
            if figure.name == "rank_z":
                last = f"{last} of {setting(look.row, 'projection_size', UNKNOWN)}" if not is_classifier else last
            few = is_supervised and figure.name.startswith("rank")
            rows.append((figure.words, series, last, _RANK_OF_LABELS if few else figure.healthy))
    return rows
