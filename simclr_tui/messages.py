"""What the feed and the actions tell the screens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from simclr_tui.model import Curves, Learning, RunRow
from trainer.store.records import Event

if TYPE_CHECKING:
    from simclr_tui.lab.bench import BenchLook


@dataclass
class Polled(Message):
    """The store was read; what did not change is empty or None."""

    at: float
    """UTC seconds at which it was read."""
    rows: Sequence[RunRow] | None
    events: Sequence[Event]
    device: Mapping[str, Any] | None
    curves: Sequence[Curves]
    learning: Learning | None = None
    benchmark: "BenchLook | None" = None
    free_bytes: int | None = None
    """Room on the disk of the runs folder, where that could be asked."""


@dataclass
class PollFailed(Message):
    """The store could not be read this time; the next poll tries again."""

    reason: str


@dataclass
class StoreRefused(Message):
    """The store can't be used at all, so that there is nothing to show."""

    sentence: str


@dataclass
class ActionDone(Message):
    """Something that was asked for has happened."""

    sentence: str
    run_id: str | None = None
    """The run that was made, if one was."""


@dataclass
class ActionFailed(Message):
    """Something that was asked for could not be done."""

    sentence: str
    setting: str | None = None
    """The setting that is to blame, if one is."""
