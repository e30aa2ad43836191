"""What the feed and the actions tell the screens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from simclr_tui.model import Curves, Learning, RunRow
from trainer.store.records import Event
from trainer.store.totals import Totals

if TYPE_CHECKING:
    from simclr_tui.lab.bench import BenchLook
    from simclr_tui.launch.estimate import Known
    from simclr_tui.run.opened import Opened


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
    totals: Mapping[str, Totals] | None = None
    """What the compared runs have used, of those of which anything is new."""
    opened: "Opened | None" = None
    free_bytes: int | None = None
    """Room on the disk of the runs folder, where that could be asked."""
    is_another_store: bool = False
    """Whether this is the first look at a store that took the place of the last one."""


@dataclass
class KnownRead(Message):
    """What estimates rest on was read."""

    known: "Known"


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
