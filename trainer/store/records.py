"""Rows of the store as frozen records."""

import sqlite3
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self, get_args, get_type_hints

SUBMITTED = "submitted"
"""The lifecycle of a run that Slurm has and no trainer yet."""

LIFECYCLE = (
    "created",
    SUBMITTED,
    "launched",
    "queued",
    "started",
    "resumed",
    "paused",
    "stopped",
    "finished",
    "failed",
    "interrupted",
)
"""Kinds of event that move a run's state; the last one is kept in `runs.lifecycle`."""

TRAINED_KINDS = ("pretrain", "supervised")
"""Kinds of run (`runs.kind`) that have a PretrainConfig, checkpoints and an encoder to score."""

IMPORTED = "imported"
"""Kind of a run that was made of another program's event files: figures without settings, checkpoints or an end."""

COMPARED_KINDS = (*TRAINED_KINDS, IMPORTED)
"""Kinds of run that have curves of training, which can stand beside each other."""

PIN_CHECKPOINT = "pin-checkpoint"
"""Key of the annotation that keeps a checkpoint; its value is the step."""

TAG, NOTE, PINNED, ARCHIVED, TRASHED = "tag", "note", "pinned", "archived", "trashed"
"""Keys of the annotations that people give to runs: a run has any number of tags and at most one of the others."""

COMMANDS = ("pause", "stop", "save")
"""What a run may be asked to do while it lives."""


class Record:
    """A row of a table whose values are of the types that its fields have."""

    __slots__ = ()
    judged_elsewhere: ClassVar[frozenset[str]] = frozenset()
    """Columns that whoever uses them judges, so that one of them spoils no other row."""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Self:
        """The record of a row that has at least its columns; one that an older schema lacks takes its default.

        Raises:
            TypeError: a value is of another type. SQLite stores any in any column, and a page that was written to the
                wrong place is whole.
        """
        kinds = _kinds(cls)  # type: ignore[arg-type]
        values = {name: row[name] for name in row.keys() if name in kinds}  # noqa: SIM118 - a Row is no mapping
        for name, value in values.items():
            if type(value) not in kinds[name]:
                raise TypeError(f"{name} of a row of the kind {cls.__name__} is of type {type(value).__name__}")
        return cls(**values)


@cache
def _kinds(cls: type[Record]) -> dict[str, frozenset[type]]:
    """The types that a value of each field may have; a whole number is a number too."""
    kinds = {}
    for name, hint in get_type_hints(cls).items():
        if name in {field.name for field in fields(cls)}:  # type: ignore[arg-type]
            allowed = frozenset(get_args(hint) or (hint,))
            kinds[name] = allowed | {int} if float in allowed else allowed
            if name in cls.judged_elsewhere:
                kinds[name] |= {bytes, float, int, type(None)}
    return kinds


@dataclass(frozen=True, kw_only=True, slots=True)
class Run(Record):
    """A row of `runs`, with the last loss and kNN score beside it."""

    judged_elsewhere = frozenset({"config"})

    id: str
    name: str
    kind: str
    config: str
    preset: str | None
    created_at: float
    source_run_id: str | None
    lifecycle: str
    lifecycle_at: float
    exit_code: int | None
    fingerprint: str | None
    exactness: str | None
    device: str | None
    batch_size: int | None
    host: str | None
    boot_id: str | None
    pid: int | None
    start_ticks: int | None
    alive_at: float | None
    step: int | None
    epoch: int | None
    progress_at: float | None
    total_steps: int | None
    steps_per_epoch: int | None
    trained_seconds: float | None
    loss: float | None
    knn_top1: float | None
    pending_command: str | None
    health: str | None = None
    """One sentence on whether it learns, as of its last epoch."""
    health_level: str | None = None
    """good, unsure, warning or sick."""
    health_rule: str | None = None
    """The rule behind the sentence, a heading of docs/health.md."""
    parent_run_id: str | None = None
    """The run that it is a fork of."""
    parent_step: int | None = None
    """The step of the parent's checkpoint that it began from."""
    phase: str | None = None
    """What its trainer is at: one of trainer.control.PHASES."""
    step_seconds: float | None = None
    """Median wall seconds of its latest steps, waiting for data included."""
    restarts_left: int | None = None
    """How often it is started again by itself after a crash or a hang."""
    owner: str | None = None
    """Name of the user who made it."""
    owner_uid: int | None = None
    """Number of that user on the machine on which it was made."""
    runner: str | None = None
    """Name of the user who last started its trainer."""
    runner_uid: int | None = None
    """Number of that user on `host`."""
    energy_joules: float | None = None
    """What its card took while a trainer of it lived, whoever used it; None where the card does not tell."""
    cpu_energy_joules: float | None = None
    """The same of the machine's processors and their memory."""
    energy_source: str | None = None
    """How the card's was measured: by its `counter`, or at least in part as the sum of its `power`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What people wrote on a run; nothing of it changes what the run does."""

    tags: tuple[str, ...] = ()
    """In alphabetical order."""
    note: str = ""
    is_pinned: bool = False
    """Shown before all others."""
    is_archived: bool = False
    """Left out of lists unless it is asked for."""
    trashed_at: float | None = None
    """UTC seconds at which it was put into the trash, from which it can be taken back."""

    @property
    def is_hidden(self) -> bool:
        """Whether lists leave it out unless it is asked for."""
        return self.is_archived or self.trashed_at is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event(Record):
    """Something that happened to a run; `level` is info, warning or error."""

    id: int
    run_id: str
    at: float
    level: str
    kind: str
    message: str
    step: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(Record):
    """Something that a run was asked to do and has not taken up yet."""

    id: int
    run_id: str
    command: str
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRow(Record):
    """A run that waits for a device, the first one with the lowest place."""

    run_id: str
    device: str
    """A name of trainer.devices."""
    place: float
    """Orders the rows; nothing but the order means anything."""
    is_held: int
    """1 where it lets others pass until it is released."""
    at: float
    """UTC seconds at which it joined the line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint(Record):
    """A checkpoint that was announced; `path` is relative to the runs folder."""

    run_id: str
    step: int
    epoch: int
    path: str
    bytes: int
    sha256: str
    reason: str
    knn_top1: float | None
    seconds: float | None
    at: float
    verified_at: float | None = None
    """UTC seconds at which its bytes were last read back and found right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Record):
    """One figure of an evaluation; labels_per_class 0 means all."""

    run_id: str
    step: int
    dataset: str = ""
    """Empty for the run's own data set."""
    protocol: str
    layer: str
    labels_per_class: int
    seed: int
    top1: float | None
    """Accuracy on test; None for what is no accuracy, which is in `value`."""
    top5: float | None
    train_top1: float | None = None
    """Accuracy on what was fitted to, where that says something."""
    value: float | None = None
    images: int
    c: float | None
    seconds: float | None
    job_id: str | None
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AnatomyRow(Record):
    """Seconds of one part of an epoch (trainer.parts.EPOCH_PARTS)."""

    run_id: str
    epoch: int
    part: str
    seconds: float
    clock: str
    """Whose clock measured it: host or device."""
    is_sampled: int
    """1 where it is known of some steps only and spread over all of them."""
    steps: int
    """Steps in which it was measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRow(Record):
    """One trial of a benchmark in one round; round 0 is the warm-up, which no figure is made of.

    Times in seconds; the columns without `_next` are of the first epoch of the round, those with it of the next one.
    """

    run_id: str
    trial: int
    """Counted from 1."""
    round: int
    """Counted from 1; 0 is the warm-up."""
    name: str | None
    settings: str
    """JSON: the settings that make this trial."""
    t_batch: float | None = None
    """Median of the steps, on the device."""
    t_batch_next: float | None = None
    t_data: float | None = None
    """Mean of what a step of a whole epoch waits for its batch, on the host."""
    t_data_next: float | None = None
    t_epoch: float | None = None
    """Of a whole epoch, from the steps that were taken."""
    t_epoch_next: float | None = None
    images_per_second: float | None = None
    """In the next epoch."""
    gpu_util: float | None = None
    """0 to 100, mean over both epochs."""
    idle: float | None = None
    """Part of the next epoch in which the device waited between steps, 0 to 1."""
    host_memory_bytes: int | None = None
    """Proportional set size of the trainer and its workers."""
    device_memory_bytes: int | None = None
    """Peak that torch allocated on the device."""
    steps: int | None = None
    """Steps taken of each epoch."""
    warmup_seconds: float | None = None
    """In round 0: what came before the first step that counts."""
    error: str | None = None
    """Why the trial could not be run, in a sentence."""
    dropped: str | None = None
    """Why the round is not counted, such as a throttled card."""
    at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact(Record):
    """A file that an evaluation made; `path` is relative to the runs folder."""

    run_id: str
    name: str
    kind: str
    """map, picture or table."""
    step: int
    path: str
    bytes: int
    sha256: str
    job_id: str | None
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRow:
    """One step as it is logged; None where a value was not finite."""

    step: int
    epoch: int
    loss: float | None
    acc_top1: float | None
    acc_top5: float | None
    acc_mean_pos: float | None
    lr: float
    grad_norm: float | None
    t_data: float
    t_batch: float

    def values(self, run_id: str) -> tuple[Any, ...]:
        """The columns of `steps` in their order."""
        return (run_id, *(getattr(self, field.name) for field in fields(self)))
