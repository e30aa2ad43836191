"""What of a run is worth telling: it ended, it is started again, it does not get on, it became unwell. Pure.

Each happening has a label, the same for the same happening whoever sees it, by which it is told once.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.store.notices import is_notice_of
from trainer.store.records import TRAINED_KINDS, Event, Run

BEGINNINGS = ("created", "launched", "queued", "started", "resumed")
ENDS = ("finished", "failed", "interrupted", "paused", "stopped")
WORKING = ("started", "resumed")

STARTED_AGAIN = "trainer started again"
"""Begins the message of a supervisor's event that it starts a trainer again."""

AGAIN_SECONDS = 6 * 3600.0
"""A warning that was told is told again only after so long, so that a run on the brink of one is no flood."""

BRIEF_SECONDS = 60.0
"""A benchmark or an evaluation that takes less is not told where it finishes."""

END, EARLIER_END, STILL, WAITS = "its end", "its end before", "no progress", "waiting"
"""Labels."""

_UNWELL = {"warning": 1, "sick": 2}
"""Levels of health that are told, and which of them is worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What is seen of a run at one time."""

    run: Run
    state: str
    """One of trainer.state.STATES."""
    events: Sequence[Event]
    """The newest of the run, oldest first."""
    phase: str
    """What its trainer is at (trainer.pulse.PHASES)."""
    at: float
    """Seconds of a clock that never goes back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """Something to tell."""

    kind: str
    """One of trainer.addresses.KINDS."""
    label: str
    what: str
    """Follows the run's name in the title: `has finished`."""
    why: str = ""
    """A sentence more, without a full stop."""
    after: int = 0
    """Id of an event: the same label before it was another happening."""
    seconds: float | None = None
    """The same label longer ago was another happening."""
    is_recorded: bool = True
    """False where nobody recorded it, so that it may only be that nobody has yet."""


class Course:
    """The course of a run while its trainer lives."""

    def __init__(self, *, patience_seconds: float, after: int = 0) -> None:
        """Args: how long it may stand still before that is told, as most pauses for breath are over by then; id of the
        newest event before this trainer."""
        self._patience_seconds = patience_seconds
        self._after = after
        self._still_since: float | None = None
        self._still = ""
        self._is_told = False
        self._level = -1

    def follow(self, look: Look) -> Happening | None:
        """What has happened since the look before, while the run works."""
        return self._stands_still(look) or self._unwell(look.run)

    def _stands_still(self, look: Look) -> Happening | None:
        still = ""
        if look.run.lifecycle in WORKING:
            still = "stalled" if look.state == "stalled" else "waiting" if look.phase == "waiting" else ""
        if still != self._still:
            self._still, self._still_since, self._is_told = still, look.at, False
        since = look.at if self._still_since is None else self._still_since
        if not still or self._is_told or look.at - since < self._patience_seconds:
            return None
        self._is_told = True
        after = begun_by(look.events, self._after)
        if still == "stalled":
            return Happening(kind="warning", label=STILL, what="makes no progress", after=after, seconds=AGAIN_SECONDS)
        return Happening(kind="warning", label=WAITS, what="waits", after=after, seconds=AGAIN_SECONDS)

    def _unwell(self, run: Run) -> Happening | None:
        level, before = _UNWELL.get(run.health_level or "", 0), self._level
        self._level = level
        if before < 0 or level <= before:
            return None
        label = f"its health ({run.health_rule or run.health_level})"
        what = "is sick" if run.health_level == "sick" else "is unwell"
        return Happening(kind="warning", label=label, what=what, why=run.health or "", seconds=AGAIN_SECONDS)


def is_brief(happening: Happening, look: Look) -> bool:
    """Whether it is the end of a benchmark or an evaluation of moments, whose starter is still there to see it."""
    begun = [event.at for event in look.events if event.kind in WORKING]
    lasted = look.run.lifecycle_at - begun[-1] if begun else math.inf
    return happening.kind == "finished" and look.run.kind not in TRAINED_KINDS and lasted < BRIEF_SECONDS


def begun_by(events: Sequence[Event], after: int) -> int:
    """Id of the event by which the run's latest trainer began; `after` where so much happened that it is not there."""
    return max((event.id for event in events if event.kind in BEGINNINGS), default=after)


def recorded_end(look: Look, after: int) -> Happening | None:
    """The end of a run as its trainer, watchdog or supervisor recorded it.

    Args:
        look: at the run.
        after: id of the newest event before this trainer; an end before that was another's.
    """
    ends = [event for event in look.events if event.kind == look.run.lifecycle and event.id > after]
    if look.run.lifecycle not in ENDS or not ends:
        return None
    begun = begun_by([event for event in look.events if event.id < ends[-1].id], after)
    return _end(look.run.lifecycle, ends[-1].message, begun)


def end_of_lost(look: Look, after: int) -> Happening | None:
    """What became of a run whose trainer is gone and that nobody has taken up, whether that was recorded or not.

    Args:
        look: at the run, made when the trainer was gone.
        after: id of the newest event before this trainer.
    """
    recorded = recorded_end(look, after)
    if recorded is not None or look.state != "interrupted":
        return recorded
    why = "its process is gone and left no word: it was killed, or memory ran out"
    return _lost(begun_by(look.events, after), why)


def lost_with_its_store(look: Look, after: int) -> Happening:
    """The end of a run whose trainer is gone and whose store can't be read; `look` is the last one that there was."""
    return _lost(begun_by(look.events, after), "its process is gone, and the store of its runs folder can't be read")


def lost_with_the_machine(events: Sequence[Event], after: int, booted_at: float) -> Happening | None:
    """That the machine went down under the trainer before this one, of which nobody could tell then.

    Args:
        events: of the run, oldest first.
        after: id of the newest event before this trainer.
        booted_at: UTC seconds at which the machine was started.
    """
    earlier = [event for event in events if event.id <= after]
    before = [event for event in earlier if event.kind in (*BEGINNINGS, *ENDS)]
    while before and before[-1].kind in ("launched", "queued"):
        before.pop()
    if not before or before[-1].kind not in WORKING or before[-1].at > booted_at:
        return None
    begun = before[-1].id
    if any(is_notice_of(event, END) for event in earlier if event.id > begun):  # the trainer was lost before that
        return None
    lost = _lost(begun, "the machine went down; the run goes on from its newest checkpoint")
    return dataclasses.replace(lost, label=EARLIER_END)


def _lost(begun: int, why: str) -> Happening:
    return dataclasses.replace(_end("interrupted", why, begun), is_recorded=False)


def started_again(look: Look, after: int) -> Happening | None:
    """That a supervisor has started the run again, if it has since an event."""
    found = [e for e in look.events if e.id > after and e.kind == "launched" and e.message.startswith(STARTED_AGAIN)]
    if not found:
        return None
    why = found[-1].message.removeprefix(STARTED_AGAIN).lstrip(", ")
    return Happening(kind="warning", label="its new start", what="was started again", why=why, after=found[-1].id - 1)


def _end(lifecycle: str, message: str, begun: int) -> Happening:
    kind = "paused" if lifecycle == "stopped" else lifecycle
    what = f"has {lifecycle}" if lifecycle in ("finished", "failed") else f"was {lifecycle}"
    return Happening(kind=kind, label=END, what=what, why="" if lifecycle == "finished" else message, after=begun)
