"""Whether a run learns, in a line: the trainer's own sentence and the figures beside it. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len

from simclr_tui.format import HEALTH_SIGNS, UNKNOWN, number
from simclr_tui.model import Curves, RunRow, setting
from simclr_tui.objective import loss_chance, method_of
from simclr_tui.theme import MUTED
from simclr_tui.words import Part, failure
from trainer.store.series import Point

HEALTH_STYLES = {"good": "$success", "unsure": MUTED, "warning": "$warning", "sick": "$error"}
"""The colour of each level of a run's health, beside its sign."""

_NEAR_CHANCE = 0.95
_RISING = 1.05
_LONG_WAIT = 0.1
"""Part of the time spent waiting from which on it is a warning."""


def learning_line(row: RunRow, curves: Curves, width: int | None = None) -> list[Part]:
    """Whether it learns, the loss against chance, the rank of z, and how much of the time the loop waits for data.

    Args:
        row: the run.
        curves: what was measured of it.
        width: terminal cells; what does not fit as a whole is left out, but for what comes first.
    """
    verdict = health_words(row) or _live_word(row, curves)
    facts: list[list[Part]] = [[(f"waits {100 * waits:.0f} %", "$warning")]] if (waits := _long_wait(curves)) else []
    facts += _loss_words(row, curves) + _rank_words(row, curves)
    if not waits and (fraction := waiting_fraction(curves)) is not None:
        facts.append([f"waits {100 * fraction:.0f} %"])
    rate = images_per_second(row, curves)
    facts += [[f"{number(rate)} images/s"]] if rate else []
    if not verdict and not facts:
        return [failure(curves) or ("nothing measured yet" if curves.is_read else "reading the store")]
    return _joined([verdict, *facts] if verdict else facts, width)


def health_words(row: RunRow) -> list[Part]:
    """The trainer's own sentence on whether a run learns, with the sign of its level; nothing before it has one."""
    run = row.run
    if not run.health:
        return []
    level = run.health_level or ""
    style = f"bold {HEALTH_STYLES.get(level, '')}".rstrip()
    return [(f"{HEALTH_SIGNS.get(level, '?')} {run.health}", style)]


def _joined(groups: Sequence[Sequence[Part]], width: int | None) -> list[Part]:
    """The groups with a dot between them, as many as fit."""
    parts: list[Part] = []
    used = 0
    for group in groups:
        added = [" · ", *group] if parts else [*group]
        length = sum(cell_len(part if isinstance(part, str) else part[0]) for part in added)
        if parts and width is not None and used + length > width:
            continue
        parts += added
        used += length
    return parts


def _loss_words(row: RunRow, curves: Curves) -> list[list[Part]]:
    loss = _recent(curves.steps.get("loss", ()))
    chance = loss_chance(row.run)
    return [] if loss is None else [[f"loss {number(loss)}" + (f" (chance {number(chance)})" if chance else "")]]


def _rank_words(row: RunRow, curves: Curves) -> list[list[Part]]:
    rank = curves.latest_metric("rank_z")
    if rank is None or method_of(row.run) == "cross-entropy":
        return []
    return [[f"rank {number(rank, 2)} of {setting(row, 'projection_size', UNKNOWN)}"]]


def _long_wait(curves: Curves) -> float | None:
    fraction = waiting_fraction(curves)
    return fraction if fraction is not None and fraction > _LONG_WAIT else None


def images_per_second(row: RunRow, curves: Curves) -> float | None:
    """Images a second in the latest epoch, or in the latest steps before there is one."""
    rates: list[float] = [e["images_per_second"] for e in curves.epochs if e["images_per_second"] is not None]
    if rates:
        return rates[-1]
    computing, waiting = (_recent(curves.steps.get(name, ())) for name in ("t_batch", "t_data"))
    if computing is None or waiting is None or not row.run.batch_size or computing + waiting <= 0:
        return None
    return row.run.batch_size / (computing + waiting)


def waiting_fraction(curves: Curves) -> float | None:
    """The part of the latest steps that the loop waited for its next batch."""
    computing, waiting = (_recent(curves.steps.get(name, ())) for name in ("t_batch", "t_data"))
    if computing is None or waiting is None or computing + waiting <= 0:
        return None
    return waiting / (computing + waiting)


def _live_word(row: RunRow, curves: Curves) -> list[Part]:
    """What can be said of a live run before the trainer has judged it."""
    points = curves.steps.get("loss", ())
    loss, chance = _recent(points), loss_chance(row.run)
    if loss is None or chance is None or not row.is_live or row.state == "starting":
        return []
    before = _recent(points[: -max(1, len(points) // 10)])
    if before is not None and loss > before * _RISING:
        return [("loss is rising", "bold $warning")]
    if loss > chance * _NEAR_CHANCE:
        return [("near chance", "bold $warning")]
    return [("learning", "bold $success")]


def _recent(points: Sequence[Point]) -> float | None:
    """The mean of the last tenth of a series."""
    tail = points[-max(1, len(points) // 10) :]
    return sum(point.mean for point in tail) / len(tail) if tail else None
