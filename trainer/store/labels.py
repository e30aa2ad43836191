"""What people write on runs: tags, a note, pinned, archived, in the trash. Rows of `annotations`.

They are few and small, so all of them are read at once.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from trainer.store.reader import StoreReader
from trainer.store.records import ARCHIVED, NOTE, PINNED, TAG, TRASHED, Labels

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

_KEYS = (TAG, NOTE, PINNED, ARCHIVED, TRASHED)


def read_labels(reader: StoreReader) -> dict[str, Labels]:
    """The labels of every run that has any, by its id. Reads only."""
    marks = ", ".join("?" * len(_KEYS))
    rows = reader._rows(
        f"SELECT run_id, key, value, at FROM annotations WHERE key IN ({marks}) ORDER BY run_id, key, value", _KEYS
    )
    found: dict[str, Labels] = {}
    for run_id, key, value, at in rows:
        labels, text = found.get(run_id, Labels()), str(value)
        if key == TAG:
            labels = replace(labels, tags=(*labels.tags, text))
        elif key == NOTE:
            labels = replace(labels, note=text)
        elif key == TRASHED:
            labels = replace(labels, trashed_at=float(at or 0))
        else:
            labels = replace(
                labels, is_pinned=labels.is_pinned or key == PINNED, is_archived=labels.is_archived or key == ARCHIVED
            )
        found[run_id] = labels
    return found


def write_labels(store: "RunStore", run_id: str, labels: Labels) -> None:
    """Put these labels in the place of a run's own. Commits durably.

    What stays as it was keeps the time at which it was written.
    """
    now = time.time()
    wanted = {(TAG, tag) for tag in labels.tags}
    wanted |= {(NOTE, labels.note)} if labels.note else set()
    wanted |= {(PINNED, "")} if labels.is_pinned else set()
    wanted |= {(ARCHIVED, "")} if labels.is_archived else set()
    wanted |= {(TRASHED, "")} if labels.trashed_at is not None else set()
    marks = ", ".join("?" * len(_KEYS))
    with store._write(durable=True) as connection:
        rows = connection.execute(
            f"SELECT key, value FROM annotations WHERE run_id = ? AND key IN ({marks})", (run_id, *_KEYS)
        ).fetchall()
        known = {(key, value) for key, value in rows}
        connection.executemany(
            "DELETE FROM annotations WHERE run_id = ? AND key = ? AND value = ?",
            [(run_id, *pair) for pair in known - wanted],
        )
        connection.executemany(
            "INSERT INTO annotations (run_id, key, value, at) VALUES (?, ?, ?, ?)",
            [(run_id, *pair, now) for pair in sorted(wanted - known)],
        )
