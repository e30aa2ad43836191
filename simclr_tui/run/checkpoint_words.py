"""A run's checkpoints in words: why each is kept, whether its bytes are right, which one goes next. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from simclr_tui.format import UNKNOWN, count, duration, percent, size
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.retention import Retention, reasons, surplus
from trainer.store.records import Checkpoint, Run

HEADING = ("step", "epoch", "age", "size", "kNN %", "kept as", "bytes right")
"""Of the table; all but the last two columns are numbers."""

_WRITTEN = {
    "interval": "written as its interval was over",
    "best": "written as the best so far",
    "milestone": "written as a milestone",
    "final": "written at the end of the run",
    "paused": "written to pause",
    "stopped": "written to stop",
    "interrupted": "written as its process was told to end",
    "asked": "written on request",
}


def retention_of(run: Run, pinned: frozenset[int]) -> Retention | None:
    """What a run keeps; None where its settings are not readable by this version."""
    try:
        config = PretrainConfig.from_json(run.config)
    except ConfigError:
        return None
    return Retention(newest=config.keep_checkpoints, milestones=config.keep_every_epochs > 0, pinned=pinned)


def kept_as(run: Run, rows: Sequence[Checkpoint], pinned: frozenset[int]) -> dict[int, list[str]]:
    """Why each verified checkpoint is kept, by step."""
    retention = retention_of(run, pinned)
    return reasons(rows, retention) if retention is not None else {}


def state_of(row: Checkpoint, damaged: Collection[int] = ()) -> str:
    """Whether its bytes are known to be right."""
    if row.step in damaged:
        return "damaged"
    return "not verified" if row.verified_at is None else "verified"


def written(reason: str) -> str:
    """Why a checkpoint was written, from the word that the store has for it."""
    return _WRITTEN.get(reason, f"written for {reason}")


def why(row: Checkpoint, kept: dict[int, list[str]], pinned: frozenset[int]) -> str:
    """Why one is kept, in a few words."""
    return ", ".join(kept.get(row.step, ["pinned"] if row.step in pinned else [])) or UNKNOWN


def table(run: Run, rows: Sequence[Checkpoint], pinned: frozenset[int], now: float) -> list[list[str]]:
    """A line of cells for each checkpoint, under `HEADING`."""
    kept = kept_as(run, rows, pinned)
    return [
        [
            count(row.step),
            count(row.epoch),
            _rough(now - row.at),
            size(row.bytes),
            percent(row.knn_top1),
            why(row, kept, pinned),
            f"✓ {_rough(now - row.verified_at)} ago" if row.verified_at is not None else "▲ not verified",
        ]
        for row in rows
    ]


def _rough(seconds: float) -> str:
    """A length of time in its largest unit."""
    return " ".join(duration(max(0.0, seconds)).split()[:2])


def totals(rows: Sequence[Checkpoint]) -> str:
    """How many there are and what they take."""
    many = "1 checkpoint" if len(rows) == 1 else f"{len(rows)} checkpoints"
    unsure = sum(row.verified_at is None for row in rows)
    return f"{many} · {size(sum(row.bytes for row in rows))}" + (f" · {unsure} not verified" if unsure else "")


def what_goes_next(run: Run, rows: Sequence[Checkpoint], pinned: frozenset[int], now: float) -> str:
    """Which checkpoints retention lets go once the next one is written, in a sentence."""
    retention = retention_of(run, pinned)
    if retention is None:
        return "the settings of the run can't be read by this version, so it is not known what goes next"
    if not rows:
        return ""
    following = replace(rows[0], step=rows[0].step + 1, reason="interval", knn_top1=None, verified_at=now)
    gone = surplus([*rows, following], retention)
    newest = "the newest" if retention.newest == 1 else f"the newest {retention.newest}"
    rule = f"{newest}, the best{', milestones' if retention.milestones else ''} and pinned ones stay"
    if not gone:
        return f"{rule}; nothing goes when the next one is written"
    steps = "step" if len(gone) == 1 else "steps"
    verb = "goes" if len(gone) == 1 else "go"
    return f"{rule}; {steps} {', '.join(map(count, gone))} {verb} once the next one is written"
