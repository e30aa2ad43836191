"""What the store has of a run beyond a mark, as points that loggers take. Reads only, and holds no transaction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.export.moments import Moments
from trainer.export.series import began_at, moment_of
from trainer.mirror.mark import Reached
from trainer.store.pages import kinds_of, page
from trainer.store.reader import StoreReader
from trainer.store.records import Run

KEYS: dict[str, tuple[str, ...]] = {
    "device_samples": ("at", "id"),
    "rank_samples": ("at", "id"),
    "evaluations": ("rowid",),
    "epochs": ("epoch",),
    "metrics": ("step", "name"),
    "steps": ("step",),
}
"""The tables, and the columns in whose order their rows are committed. Steps come last: whatever else lies at a step
was measured once the step had been committed, so that no point comes before its step."""

SAMPLED = ("device_samples", "rank_samples")
"""Tables whose rows were taken at a time; their step is estimated, and may be another one later."""

_PAGE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Point:
    """A row of the store for a logger."""

    table: str
    key: tuple[Any, ...]
    """Of the row, in the order of KEYS."""
    step: int
    seconds: float
    """UTC, as nearly as the store knows it."""
    values: Mapping[str, float]
    """By tag (trainer.export.tags). NaN where a value was measured and not finite."""


class Points:
    """The points of one run, read page after page."""

    def __init__(self, reader: StoreReader, run_id: str) -> None:
        """Args: the store, and the run."""
        self._reader = reader
        self._run_id = run_id
        self._began_at: float | None = None
        self._epochs: list[dict[str, Any]] = []
        self._kinds: dict[str, dict[str, type]] = {}

    def new(self, reached: Reached) -> Iterator[list[Point]]:
        """Everything that was committed after a mark, in pages; the mark is moved by whoever has handed a page on.

        Args:
            reached: the last key of each table that is known; a table that is left out begins at its first row.

        Raises:
            StoreError: the store can't be read.
        """
        run = self._reader.run(self._run_id)
        moments = self._moments(run)
        for table in KEYS:
            after = reached.get(table, ())
            while found := self._page(run, moments, table, after):
                after = found[-1].key
                yield found

    def _moments(self, run: Run) -> Moments:
        if self._began_at is None:
            self._began_at = began_at(self._reader, run)
        last = self._epochs[-1]["epoch"] if self._epochs else 0
        self._epochs += self._reader.epochs(run.id, after=last)  # a thousand epochs are not read anew every second
        return Moments(run, self._epochs, began_at=self._began_at)

    def _page(self, run: Run, moments: Moments, table: str, after: tuple[Any, ...]) -> list[Point]:
        if table not in self._kinds:
            self._kinds[table] = kinds_of(self._reader, table)
        kinds = self._kinds[table]
        if not kinds:
            return []
        key = KEYS[table]
        rows = page(self._reader, table, run.id, kinds, key=key, after=after, rows=_PAGE_ROWS, with_nan=True)
        return [
            Point(table, place, *moment_of(table, dict(zip(kinds, row, strict=True)), run, moments))
            for row, place in rows
        ]
