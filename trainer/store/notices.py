"""Who tells what becomes of a run: events of the kind `notice`, by which a happening is told once by one process."""

import time
from typing import TYPE_CHECKING

from trainer.store.records import Event

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

NOTICE = "notice"
"""Kind of the events."""

_HOUR_SECONDS = 3600.0
_CLAIM = "notice of "


def is_notice_of(event: Event, label: str) -> bool:
    """Whether an event says that a happening was told, or left out."""
    return event.kind == NOTICE and event.message.startswith(_beginnings(label))


def _beginnings(label: str) -> tuple[str, str]:
    """How the events of a happening begin, and those of no other: it was told, it was left out."""
    return f"{_CLAIM}{label} goes to ", f"{_CLAIM}{label} is left out"


def claim(
    store: "RunStore", run_id: str, label: str, to: str, *, after: int = 0, seconds: float | None = None, per_hour: int
) -> int | None:
    """Take it on to tell of a happening, and record that before anything is sent. Commits durably.

    Nobody else may write between the look and the record, so of several processes one gets it.

    Args:
        store: the store.
        run_id: the run.
        label: what happened, the same words for the same happening.
        to: the names of the addresses.
        after: id of an event; what was told before it was another happening.
        seconds: what was told longer ago was another happening; None for ever.
        per_hour: notices of all runs that may be sent in an hour.

    Returns:
        How many more may be sent within the hour, 0 where this is the last one; -1 where they are spent, which is
        recorded in the place of the notice; None where it was told already.
    """
    from trainer.store.runs import _insert_event

    now = time.time()
    told, left_out = _beginnings(label)
    since = 0.0 if seconds is None else now - seconds
    known = (
        "SELECT 1 FROM events WHERE run_id = ? AND kind = ? AND id > ? AND at > ?"
        " AND (substr(message, 1, ?) = ? OR substr(message, 1, ?) = ?)"
    )
    sent = "SELECT count(*) FROM events WHERE kind = ? AND level = 'info' AND at > ? AND substr(message, 1, ?) = ?"
    with store._write(durable=True) as connection:
        values = (run_id, NOTICE, after, since, len(told), told, len(left_out), left_out)
        if connection.execute(known, values).fetchone():
            return None
        count = connection.execute(sent, (NOTICE, now - _HOUR_SECONDS, len(_CLAIM), _CLAIM)).fetchone()[0]
        if count >= per_hour:
            message = f"{left_out}, since {count} were sent within the hour"
            _insert_event(connection, run_id, "warning", NOTICE, message, None, now)
            return -1
        _insert_event(connection, run_id, "info", NOTICE, f"{told}{to}", None, now)
    return int(per_hour - count - 1)
