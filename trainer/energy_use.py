"""The energy of a run as figures: so far, of an epoch, and by its end if it goes on as it does. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.store.records import Run

CARD, CPU = "energy_joules", "cpu_energy_joules"
"""Columns of `runs` and `epochs`: of the GPU, and of the processors with their memory."""

JOULES_PER_KWH = 3.6e6
_RATE_EPOCHS = 5
"""So many of the newest epochs count for what the next ones will take, as for how long they will."""


def kwh(joules: float | None) -> float | None:
    """As electricity is counted; None stays that."""
    return None if joules is None else joules / JOULES_PER_KWH


@dataclass(frozen=True, kw_only=True, slots=True)
class Energy:
    """Of one device, in joules; None where it is not known."""

    so_far: float | None = None
    epoch: float | None = None
    """Mean of the newest epochs."""
    at_end: float | None = None
    """What the run will have taken once its last epoch has ended; of a run that is over, what it took."""
    is_estimated: bool = False
    """Whether it is at least in part the sum of power, since the card has no counter of energy."""


def epoch_joules(rows: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    """What each epoch took, by its number, as far as that is known.

    Args:
        rows: of `epochs`, in order, each with the energy that the run had taken by its end.
        name: CARD or CPU.
    """
    found = []
    number, before = 0, 0.0 if rows and rows[0]["epoch"] == 1 else None
    for row in rows:
        total: float | None = row.get(name)
        if total is not None and before is not None and row["epoch"] == number + 1 and total >= before:
            found.append((row["epoch"], total - before))  # less than before: yet to be trained anew after a resume
        number, before = row["epoch"], total
    return found


def energy_of(run: Run, rows: Sequence[Mapping[str, Any]], name: str) -> Energy:
    """What a run took and takes.

    The first epoch has in it what was taken while images were loaded and the network was compiled, so it counts for
    the mean only as long as there is no other.

    Args:
        run: the run.
        rows: of its `epochs`, in order, the newest at least.
        name: CARD or CPU.
    """
    so_far: float | None = getattr(run, name)
    epochs = epoch_joules(rows, name)
    later = [joules for epoch, joules in epochs if epoch > 1] or [joules for _, joules in epochs]
    mean = sum(later[-_RATE_EPOCHS:]) / len(later[-_RATE_EPOCHS:]) if later else None
    return Energy(
        so_far=so_far,
        epoch=mean,
        at_end=_at_end(run, so_far, mean),
        is_estimated=name == CARD and run.energy_source == "power",
    )


def _at_end(run: Run, so_far: float | None, epoch: float | None) -> float | None:
    if so_far is None or run.lifecycle == "finished":
        return so_far
    if run.step is None or not run.total_steps or not run.steps_per_epoch:
        return None
    left = (run.total_steps - run.step) / run.steps_per_epoch
    if left <= 0:
        return so_far
    return None if epoch is None else so_far + left * epoch


def rank_count(run: Run) -> int:
    """On how many devices a run trains, of which the energy of its card is that of the first."""
    try:
        ranks = json.loads(run.fingerprint or "{}").get("ranks", 1)
    except (ValueError, AttributeError):  # edited by hand
        return 1
    return ranks if isinstance(ranks, int) else 1
