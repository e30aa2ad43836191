"""Rows of a benchmark whose truth is known: the seconds of each trial, with drift and outliers on top."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainer.config import PretrainConfig
from trainer.lab.meaning import VARIED
from trainer.lab.trials import Trial
from trainer.store.records import TrialRow

IMAGES = 100_000
BASE = PretrainConfig()


def trial(number: int, name: str, **settings: Any) -> Trial:
    """A trial of some settings."""
    return Trial(number, name, settings)


def row(number: int, round_: int, seconds: float | None = None, **columns: Any) -> TrialRow:
    """A row of a trial whose next epoch took so many seconds."""
    speed = IMAGES / seconds if seconds else None
    wanted: dict[str, Any] = {
        "run_id": "r",
        "trial": number,
        "round": round_,
        "name": f"trial {number}",
        "settings": "{}",
        "t_epoch_next": seconds,
        "images_per_second": speed,
    }
    return TrialRow(**wanted | columns)


def turn(one: Trial, round_: int, truth: float, noise: random.Random, at: float, **columns: Any) -> TrialRow:
    """A row of a turn on a machine that gets slower by 3 % a round and is now and then held up."""
    held_up = noise.expovariate(1) ** 3 * 0.0005  # heavy-tailed
    seconds = truth * (1 + 0.03 * round_) * (1 + held_up)
    return row(
        one.number, round_, seconds, name=one.name, settings=json.dumps(one.settings), at=at + seconds, **columns
    )


def measure(
    trials: Sequence[Trial],
    truth: Callable[[PretrainConfig], float],
    rounds: int = 13,
    seed: int = 1,
    columns: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[TrialRow]:
    """Rows of all trials taken in turns.

    Args:
        trials: those that are measured.
        truth: seconds of an epoch by a trial's settings.
        rounds: taken of each.
        seed: of the noise.
        columns: further ones, by trial.
    """
    noise = random.Random(seed)
    rows: list[TrialRow] = []
    for round_ in range(1, rounds + 1):
        for one in trials:
            at = rows[-1].at or 0.0 if rows else 0.0
            own = (columns or {}).get(one.number, {})
            rows.append(turn(one, round_, truth(one.config(BASE)), noise, at, **own))
    return rows


def every(**values: Sequence[Any]) -> list[Trial]:
    """The current settings and, one after the other, those that differ in one value."""
    found = [Trial(1, "current", {})]
    for name in VARIED:
        for value in values.get(name, ()):
            if getattr(BASE, name) != value:
                found.append(Trial(len(found) + 1, f"{name} {value}", {name: value}))
    return found


def dropped(one: TrialRow, reason: str) -> TrialRow:
    """The row, not counted."""
    return replace(one, dropped=reason)
