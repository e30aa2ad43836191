"""The run store: one SQLite file per runs folder."""

from trainer.store.reader import StoreReader
from trainer.store.records import Artifact, Checkpoint, Command, Evaluation, Event, Run, StepRow
from trainer.store.runs import RunStore
from trainer.store.series import STEP_SERIES, Point, read_series

__all__ = [
    "STEP_SERIES",
    "Artifact",
    "Checkpoint",
    "Command",
    "Evaluation",
    "Event",
    "Point",
    "Run",
    "RunStore",
    "StepRow",
    "StoreReader",
    "read_series",
]
