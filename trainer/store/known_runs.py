"""Every run, for whoever asks again and again: a record is made only where its row has changed.

Reading a thousand rows takes SQLite a few milliseconds; making checked records of them takes many times that, in which
no other thread gets on.
"""

from pathlib import Path
from typing import Any

from trainer.paths import store_file
from trainer.store.connect import damaged, reading
from trainer.store.reader import ALL_RUNS, StoreReader
from trainer.store.records import Run


class KnownRuns:
    """The runs of a store as they were read last."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._known: dict[str, tuple[tuple[Any, ...], Run]] = {}

    def read(self, reader: StoreReader) -> list[Run]:
        """Every run, the newest first; a run that has not changed is the same object as before. Reads only.

        Raises:
            StoreError: the store is locked, can't be read, or is damaged.
        """
        reader._check_process()
        path = store_file(reader.runs_path)
        with reading(path):
            cursor = reader.connection.cursor()
            cursor.row_factory = None  # plain tuples
            cursor.execute(ALL_RUNS)
            names = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
        found: dict[str, tuple[tuple[Any, ...], Run]] = {}
        for row in rows:
            known = self._known.get(row[0])
            found[row[0]] = known if known is not None and known[0] == row else (row, _run(path, names, row))
        self._known = found
        return [run for _, run in found.values()]


def run_numbers(reader: StoreReader) -> dict[str, int]:
    """As which of all runs each was made, from 0 and by its id; one that is deleted leaves a gap. Reads only."""
    return {run_id: number - 1 for run_id, number in reader._rows("SELECT id, rowid FROM runs")}


def _run(path: Path, names: list[str], row: tuple[Any, ...]) -> Run:
    try:
        return Run.from_row(dict(zip(names, row, strict=True)))  # type: ignore[arg-type]  # read as a Row is
    except TypeError as error:
        raise damaged(path, error) from error
