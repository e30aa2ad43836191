"""Reading a benchmark: at once, or for the dashboard, each poll only as much as has changed."""

import time
from collections.abc import Sequence

from simclr_tui.lab.bench import Bench, BenchLook, look
from trainer.errors import ConfigError
from trainer.store.reader import StoreReader
from trainer.store.records import Event, Run, TrialRow

_EVENTS = 10_000
_MOST_EVENTS = 100_000


def read_bench(reader: StoreReader, run: Run) -> Bench:
    """What is known of a benchmark, read at once. Reads only.

    Raises:
        ConfigError: its stored settings can't be used.
    """
    return look(run, reader.trials(run.id), reader.events(run_id=run.id, limit=_MOST_EVENTS), time.time())


class BenchReader:
    """What is known of one benchmark as far as it was read."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self.run_id = run_id
        self._rows: Sequence[TrialRow] = ()
        self._events: list[Event] = []
        self._key: tuple[object, ...] | None = None

    def read(self, reader: StoreReader, run: Run) -> BenchLook | None:
        """The benchmark if anything of it is new. Reads only."""
        rows = reader.trials(self.run_id)
        fresh = reader.events(run_id=self.run_id, after=self._events[-1].id if self._events else 0, limit=_EVENTS)
        key = (run.lifecycle, run.lifecycle_at, run.config, run.device)
        if rows == self._rows and not fresh and key == self._key:
            return None
        self._rows, self._key = rows, key
        self._events += fresh
        return BenchLook(self.run_id, *_looked_at(run, rows, self._events))


def _looked_at(run: Run, rows: Sequence[TrialRow], events: Sequence[Event]) -> tuple[Bench | None, str]:
    try:
        return look(run, rows, events, time.time()), ""
    except ConfigError as error:  # edited by hand, or made by another version
        return None, str(error)
