"""What is worth telling a person who looks elsewhere: a run ended, paused, or began to be unwell. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from simclr_tui.format import SIGNS, duration, percent
from simclr_tui.keys import key
from simclr_tui.model import RunRow
from trainer.store.records import Event

_ENDED = ("finished", "failed", "interrupted")
_HALTED = ("paused", "stopped")
_UNWELL = {"warning": 1, "sick": 2}
"""Levels of health that are told, and which of them is worse."""

_NAMED = 3
"""Notices of one poll that are told one by one; more are counted."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell, of one of the kinds in `user_settings.NOTICE_KINDS`."""

    kind: str
    run_id: str
    sentence: str

    @property
    def severity(self) -> Literal["information", "warning", "error"]:
        """How Textual's toasts call it."""
        if self.kind in ("failed", "interrupted"):
            return "error"
        return "warning" if self.kind == "warning" else "information"


def notices(
    before: Sequence[RunRow] | None,
    rows: Sequence[RunRow],
    *,
    asked: Collection[str] = (),
    events: Iterable[Event] = (),
) -> list[Notice]:
    """What has happened between two polls.

    Args:
        before: the rows of the poll before; None at the first one, when everything is old.
        rows: those of this poll.
        asked: runs that were asked to pause or stop from this dashboard, which need not be told.
        events: what was read in this poll; an error of a run that failed says why.
    """
    if before is None:
        return []
    known = {row.run.id: row for row in before}
    reasons = {event.run_id: event.message for event in events if event.level == "error"}
    pairs = [(known[row.run.id], row) for row in rows if row.run.id in known]
    found = [_ended(old, row, asked, reasons) or _unwell(old, row) for old, row in pairs]
    return [notice for notice in found if notice is not None]


def _ended(old: RunRow, row: RunRow, asked: Collection[str], reasons: Mapping[str, str]) -> Notice | None:
    """That a run which was live is not any more."""
    name, state = row.run.name, row.state
    was_working = old.is_live or old.turn is not None
    if not was_working or row.is_live:
        return None
    if state in _ENDED:
        why = {
            "finished": _result(row),
            "failed": reasons.get(row.run.id, ""),
            "interrupted": f"{key('r', 'run.resume')} resumes it",
        }[state]
        return Notice(state, row.run.id, f"{name} {_has_been(state)}" + (f": {why}" if why else ""))
    if state in _HALTED and row.run.id not in asked:
        return Notice("paused", row.run.id, f"{name} was {state} from elsewhere; {key('r', 'run.resume')} resumes it")
    return None


def _has_been(state: str) -> str:
    return {"finished": "has finished", "failed": "has failed", "interrupted": "was interrupted"}[state]


def _result(row: RunRow) -> str:
    """What a run that has finished has come to."""
    if row.run.knn_top1 is not None:
        return f"kNN {percent(row.run.knn_top1)} %"
    return f"after {duration(row.run.trained_seconds)}" if row.run.trained_seconds else ""


def _unwell(old: RunRow, row: RunRow) -> Notice | None:
    """That a run learns worse than at the poll before, or does not get on."""
    name, run = row.run.name, row.run
    if row.state == "stalled" and old.state != "stalled" and old.is_live:
        return Notice("warning", run.id, f"{name} makes no progress")
    if row.is_live and _UNWELL.get(run.health_level or "", 0) > _UNWELL.get(old.run.health_level or "", 0):
        return Notice("warning", run.id, f"{name}: {run.health or run.health_level}")
    return None


def told(found: Sequence[Notice]) -> str:
    """Several notices as one sentence for the desktop."""
    sentences = [notice.sentence for notice in found[:_NAMED]]
    if len(found) > _NAMED:
        sentences.append(f"and {len(found) - _NAMED} more")
    return "; ".join(sentences)


def title(rows: Sequence[RunRow]) -> str:
    """The terminal's title: how many runs are going, how far the first one is, and what needs somebody."""
    live = [row for row in rows if row.is_live]
    parts = ["simclr-tui"]
    if live:
        progress = live[0].progress
        done = "" if progress is None else f" {100 * progress:.0f} %"
        parts.append(f"{SIGNS['running']} {live[0].run.name}{done}" if len(live) == 1 else f"{len(live)} running{done}")
    for state in ("stalled", "interrupted"):
        count = sum(row.state == state for row in rows)
        if count:
            parts.append(f"{SIGNS[state]} {count} {state}")
    return " · ".join(parts)
