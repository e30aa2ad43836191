"""A run in words: where it is, when it ends, whether it learns. Pure."""

import json
from collections.abc import Sequence

from simclr_tui.format import UNKNOWN, clock, duration, moment, number
from simclr_tui.model import Curves, RunRow
from simclr_tui.theme import MUTED
from trainer.chance import chance_levels
from trainer.store.series import Point

Part = str | tuple[str, str]
"""Text, or text with a style of the theme."""

STATE_STYLES = {
    "queued": MUTED,
    "starting": "$primary",
    "running": "$success",
    "pausing": "$warning",
    "paused": "$warning",
    "stopping": "$warning",
    "stopped": MUTED,
    "finished": "$primary",
    "failed": "$error",
    "interrupted": "$error",
    "stalled": "$error",
}

_NEXT = {
    "queued": "r starts it",
    "paused": "r resumes it",
    "stopped": "r resumes it",
    "interrupted": "r resumes it",
    "failed": "r tries again",
}
_TELLING = {
    "dataset": "",
    "backbone": "",
    "batch_size": "batch ",
    "temperature": "T ",
    "learning_rate": "lr ",
    "seed": "seed ",
}
"""The settings that tell what a run is, with what is written before them."""

_NEAR_CHANCE = 0.95
_RISING = 1.05


def status_line(row: RunRow, curves: Curves, now: float) -> list[Part]:
    """State, epoch, and when it ends or what to do next."""
    parts: list[Part] = [(row.state, f"bold {STATE_STYLES[row.state]}")]
    if row.state in _NEXT:
        parts += [" · ", (_NEXT[row.state], "bold")]
    if row.run.epoch is not None:
        parts.append(f" · epoch {row.run.epoch}/{row.total_epochs or UNKNOWN}")
    if row.is_live and row.state != "starting":
        parts.append(f" · {end_words(row, curves, now)}")
    elif row.state in _NEXT:
        left = curves.seconds_left(row.run)
        parts.append(f" · {duration(left)} left" if left else "")
    elif row.state == "finished":
        parts.append(f" · {moment(row.run.lifecycle_at, now)}")
        if row.run.trained_seconds:
            parts.append(f" after {duration(row.run.trained_seconds)} of training")
    return parts


def end_words(row: RunRow, curves: Curves, now: float) -> str:
    """When a live run ends; nothing is guessed before its first epoch has ended."""
    if row.run.kind == "evaluate":
        return f"since {clock(row.run.lifecycle_at)}"
    left = curves.seconds_left(row.run)
    if left is None:
        return "end known after its first epoch"
    if left <= 0:
        return "evaluating"
    return f"ends {moment(now + left, now)} (in {duration(left)})"


def learning_line(row: RunRow, curves: Curves) -> list[Part]:
    """Whether it learns, the loss against chance, the rate, and how much of the time the loop waits for data."""
    loss = _recent(curves.steps.get("loss", ()))
    if loss is None:
        return [failure(curves) or "nothing measured yet"]
    chance = chance_levels(row.run.batch_size).loss if row.run.batch_size else None
    parts: list[Part] = []
    if row.is_live and row.state != "starting" and chance is not None:
        parts += [_learning_word(curves.steps["loss"], loss, chance), " · "]
    parts.append(f"loss {number(loss)}" + (f" (chance {number(chance)})" if chance else ""))
    rate = images_per_second(row, curves)
    parts.append(f" · {number(rate)} images/s" if rate else "")
    waits = waiting_fraction(curves)
    if waits is not None:
        parts += [" · ", (f"waits {100 * waits:.0f} %", "$warning" if waits > 0.1 else "")]
    return parts


def failure(curves: Curves) -> str:
    """What went wrong last, if the run's last word is an error."""
    errors = [event.message for event in curves.events if event.level == "error"]
    return errors[-1] if errors else ""


def settings_words(row: RunRow) -> str:
    """The settings that say what a run is."""
    if row.run.kind != "pretrain":
        return f"{row.run.kind} of run {row.run.source_run_id}" if row.run.source_run_id else row.run.kind
    config = json.loads(row.run.config)
    words = [f"{label}{config[name]}" for name, label in _TELLING.items() if name in config]
    return " · ".join([row.run.preset or "no preset", *words])


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


def _learning_word(points: Sequence[Point], loss: float, chance: float) -> tuple[str, str]:
    before = _recent(points[: -max(1, len(points) // 10)])
    if before is not None and loss > before * _RISING:
        return "loss is rising", "bold $warning"
    if loss > chance * _NEAR_CHANCE:
        return "near chance", "bold $warning"
    return "learning", "bold $success"


def _recent(points: Sequence[Point]) -> float | None:
    """The mean of the last tenth of a series."""
    tail = points[-max(1, len(points) // 10) :]
    return sum(point.mean for point in tail) / len(tail) if tail else None
