"""Rows of the table `queue`: which runs wait for a device, in which order. Who of them lives is not known here."""

import socket
import sqlite3
from collections.abc import Callable

from trainer.process import start_ticks
from trainer.store.reader import StoreReader
from trainer.store.records import QueueRow, Run
from trainer.store.runs import RunStore

_WITH_QUEUE = 3
"""The schema version that brought the table."""

_QUERY = "SELECT * FROM queue ORDER BY place, at, run_id"


def queue_rows(store: StoreReader) -> list[QueueRow]:
    """Every row in the order of places. Reads only."""
    if store.schema_version() < _WITH_QUEUE:
        return []
    return store._records(QueueRow, _QUERY)


def put_row(store: RunStore, run_id: str, device: str, at: float, *, is_first: bool = False) -> None:
    """Add a row behind (or before) all others; on the same device one keeps its place. Commits durably."""
    edge = "min(place) - 1" if is_first else "max(place) + 1"
    with store._write(durable=True) as connection:
        connection.execute(
            f"INSERT INTO queue SELECT ?, ?, coalesce((SELECT {edge} FROM queue), 0), 0, ?"
            " WHERE NOT EXISTS (SELECT 1 FROM queue WHERE run_id = ? AND device = ?)"
            " ON CONFLICT (run_id) DO UPDATE SET device = excluded.device, place = excluded.place",
            (run_id, device, at, run_id, device),
        )


def delete_row(store: RunStore, run_id: str) -> bool:
    """Take a run's row away; whether there was one. Commits durably."""
    with store._write(durable=True) as connection:
        return bool(connection.execute("DELETE FROM queue WHERE run_id = ?", (run_id,)).rowcount)


def take_row(store: RunStore, run_id: str, device: str) -> bool:
    """Take a run's row away whose turn has come on a device; False if it waits for another one now. Commits durably."""
    with store._write(durable=True) as connection:
        query = "DELETE FROM queue WHERE run_id = ? AND device = ?"
        return bool(connection.execute(query, (run_id, device)).rowcount)


def redirect(store: RunStore, run_id: str, device: str, config: str) -> bool:
    """Put a run behind those that wait for another device, and give it settings that say so; both or neither.

    Commits durably.

    Args:
        store: the store.
        run_id: the run.
        device: a name of trainer.devices.
        config: its settings with that device.

    Returns:
        Whether it had a row: one whose turn has come has none any more, and keeps its device.
    """
    with store._write(durable=True) as connection:
        query = "UPDATE queue SET device = ?, place = (SELECT max(place) + 1 FROM queue) WHERE run_id = ?"
        has_row = bool(connection.execute(query, (device, run_id)).rowcount)
        if has_row:
            connection.execute("UPDATE runs SET config = ? WHERE id = ?", (config, run_id))
        return has_row


def set_held(store: RunStore, run_id: str, *, is_held: bool) -> bool:
    """Let others pass a run, or no longer; whether it has a row. Commits durably."""
    with store._write(durable=True) as connection:
        return bool(connection.execute("UPDATE queue SET is_held = ? WHERE run_id = ?", (is_held, run_id)).rowcount)


def reorder(store: RunStore, change: Callable[[list[QueueRow]], dict[str, float]]) -> None:
    """Give rows other places, of which nobody sees a part. Commits durably.

    Args:
        store: the store.
        change: told all rows in their order, with the store locked against other writers; it gives the new places of
            the runs that move.
    """
    with store._write(durable=True) as connection:
        rows = store._records(QueueRow, _QUERY)
        for run_id, place in change(rows).items():
            connection.execute("UPDATE queue SET place = ? WHERE run_id = ?", (place, run_id))


def run_of_process(store: StoreReader, process: int) -> Run | None:
    """The run whose trainer that process of this machine is, by what the trainer wrote last. Reads only."""
    query = "SELECT id, start_ticks FROM runs WHERE pid = ? AND host = ? ORDER BY lifecycle_at DESC LIMIT 1"
    rows: list[sqlite3.Row] = store._rows(query, (process, socket.gethostname()))
    started = start_ticks(process)  # not told of another person's where /proc is mounted with hidepid=2
    is_it = bool(rows) and started in (None, rows[0]["start_ticks"])
    return store.run(rows[0]["id"]) if is_it else None
