"""What people write on runs: tags, a note, pinned, archived, in the trash. Rows of `annotations`.

They are few and small, so all of them are read at once.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from trainer.errors import UnknownRunError, UsageError
from trainer.quote import quoted
from trainer.store.reader import StoreReader
from trainer.store.records import ARCHIVED, NOTE, PINNED, TAG, TRASHED, Labels, Run

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

LONGEST_TAG, LONGEST_NOTE = 40, 2000
"""Characters that a tag and a note may have."""

_KEYS = (TAG, NOTE, PINNED, ARCHIVED, TRASHED)
_MARKS = ", ".join("?" * len(_KEYS))


def read_labels(reader: StoreReader) -> dict[str, Labels]:
    """The labels of every run that has any, by its id. Reads only."""
    query = f"SELECT run_id, key, value, at FROM annotations WHERE key IN ({_MARKS}) ORDER BY run_id, key, value"
    found: dict[str, list[sqlite3.Row]] = {}
    for row in reader._rows(query, _KEYS):
        found.setdefault(row["run_id"], []).append(row)
    return {run_id: _labels(rows) for run_id, rows in found.items()}


def labels_of(reader: StoreReader, run_id: str) -> Labels:
    """The labels of one run. Reads only."""
    query = f"SELECT key, value, at FROM annotations WHERE run_id = ? AND key IN ({_MARKS}) ORDER BY key, value"
    return _labels(reader._rows(query, (run_id, *_KEYS)))


def _labels(rows: Iterable[sqlite3.Row]) -> Labels:
    found: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row)
    return Labels(
        tags=tuple(str(row["value"]) for row in found.get(TAG, ())),
        note=str(found[NOTE][-1]["value"]) if NOTE in found else "",
        is_pinned=PINNED in found,
        is_archived=ARCHIVED in found,
        trashed_at=float(found[TRASHED][-1]["at"] or 0) if TRASHED in found else None,
    )


def write_labels(store: "RunStore", run_id: str, labels: Labels) -> None:
    """Put these labels in the place of a run's own. Commits durably.

    What stays as it was keeps the time at which it was written.

    Raises:
        UnknownRunError: there is no such run.
    """
    change_labels(store, run_id, lambda _: labels)


def change_labels(store: "RunStore", run_id: str, change: Callable[[Labels], Labels]) -> tuple[Labels, Labels]:
    """Change a run's labels as they are now, whoever else changes them; those before and after. Commits durably.

    Args:
        store: the store.
        run_id: the run.
        change: told the labels with the store locked against other writers; what it raises changes nothing.

    Raises:
        UnknownRunError: there is no such run.
    """
    now = time.time()
    with store._write(durable=True) as connection:
        if connection.execute("SELECT 1 FROM runs WHERE id = ?", (run_id,)).fetchone() is None:
            raise UnknownRunError(f"no run has the id {quoted(run_id)}; `simclr-tui ls` lists them")
        before = labels_of(store, run_id)
        after = change(before)
        had, wanted = _pairs(before), _pairs(after)
        connection.executemany(
            "DELETE FROM annotations WHERE run_id = ? AND key = ? AND value = ?",
            [(run_id, *pair) for pair in had - wanted],
        )
        connection.executemany(
            "INSERT INTO annotations (run_id, key, value, at) VALUES (?, ?, ?, ?)",
            [(run_id, *pair, now) for pair in sorted(wanted - had)],
        )
    return before, after


def _pairs(labels: Labels) -> set[tuple[str, str]]:
    """Keys and values of the rows that stand for some labels."""
    pairs = {(TAG, tag) for tag in labels.tags}
    pairs |= {(NOTE, labels.note)} if labels.note else set()
    flags = {PINNED: labels.is_pinned, ARCHIVED: labels.is_archived, TRASHED: labels.trashed_at is not None}
    return pairs | {(key, "") for key, is_set in flags.items() if is_set}


def with_tags(labels: Labels, add: Iterable[str], remove: Iterable[str] = ()) -> Labels:
    """Labels with some tags more and some fewer."""
    return replace(labels, tags=tuple(sorted(({*labels.tags} - {*remove}) | {*add})))


def checked_tag(text: str) -> str:
    """A tag, as it was typed.

    Raises:
        UsageError: it is no word that fits a line.
    """
    if not text or len(text) > LONGEST_TAG or not text.isprintable() or text[0] in "+-" or any(map(str.isspace, text)):
        words = f"is no tag; give one word of at most {LONGEST_TAG} printable characters, without + or - before it"
        raise UsageError(f"{quoted(text)} {words}")
    return text


def checked_note(text: str) -> str:
    """A note without the blanks around it.

    Raises:
        UsageError: it is too long, or no text that can be shown.
    """
    text = "\n".join(line.rstrip().replace("\t", " ") for line in text.strip().splitlines())
    if len(text) > LONGEST_NOTE:
        raise UsageError(f"a note has at most {LONGEST_NOTE:,} characters, and this one {len(text):,}; shorten it")
    if not text.replace("\n", "").isprintable():
        raise UsageError("the note has characters that can't be shown; leave them out")
    return text


def refuse_trashed(reader: StoreReader, run: Run) -> None:
    """See that a run is not in the trash. Reads only.

    Raises:
        UsageError: it is.
    """
    if labels_of(reader, run.id).trashed_at is not None:
        raise UsageError(trashed_words(run.name, run.id))


def trashed_words(name: str, run_id: str) -> str:
    """Why nothing can be done to a run in the trash, and what can."""
    return f"{name} is in the trash; `simclr-tui restore {run_id}` takes it out again"
