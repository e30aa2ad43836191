"""Who tells what becomes of a run: events of the kind `notice`, by which a happening is told once by one process."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

NOTICE = "notice"
"""Kind of the events."""

_HOUR_SECONDS = 3600.0
_CLAIM = "notice of "


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
    start = f"{_CLAIM}{label} "
    since = 0.0 if seconds is None else now - seconds
    told = "SELECT 1 FROM events WHERE run_id = ? AND kind = ? AND id > ? AND at > ? AND substr(message, 1, ?) = ?"
    sent = "SELECT count(*) FROM events WHERE kind = ? AND level = 'info' AND at > ? AND substr(message, 1, ?) = ?"
    with store._write(durable=True) as connection:
        if connection.execute(told, (run_id, NOTICE, after, since, len(start), start)).fetchone():
            return None
        count = connection.execute(sent, (NOTICE, now - _HOUR_SECONDS, len(_CLAIM), _CLAIM)).fetchone()[0]
        if count >= per_hour:
            message = f"{start}is left out, since {count} were sent within the hour"
            _insert_event(connection, run_id, "warning", NOTICE, message, None, now)
            return -1
        _insert_event(connection, run_id, "info", NOTICE, f"{start}goes to {to}", None, now)
    return int(per_hour - count - 1)
