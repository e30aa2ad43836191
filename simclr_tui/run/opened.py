"""Reading, beyond its curves, the run whose screen is open: each poll only what its tab shows and what is new."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.paths import log_file
from trainer.store.reader import StoreReader
from trainer.store.records import AnatomyRow, Event, Run

if TYPE_CHECKING:
    from simclr_tui.run.log_tail import LogFollower, LogTail
    from simclr_tui.run.system import SystemLook, SystemReader

ACCEPTED = "settings-accepted"
"""Kind of the event of a change that can change the result."""

_SYSTEM_SECONDS = 2.0
_EVENTS_READ = 10_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A run and its tab; what the tab does not need is empty."""

    run_id: str
    tab: str
    anatomy: Sequence[AnatomyRow] = ()
    """The parts of every epoch."""
    pinned: frozenset[int] = frozenset()
    """Steps whose checkpoints a person asked to keep."""
    accepted: Sequence[Event] = ()
    """The changes of settings that can change the result."""
    log: "LogTail | None" = None
    system: "SystemLook | None" = None


class OpenedReader:
    """What is known of one run and one tab as far as it was read."""

    def __init__(self, run_id: str, tab: str) -> None:
        """Args: the run and the tab; nothing is read yet."""
        self.run_id = run_id
        self.tab = tab
        self._anatomy: list[AnatomyRow] = []
        self._accepted: list[Event] = []
        self._event_id = 0
        self._log: LogFollower | None = None
        self._tail: LogTail | None = None
        self._system: SystemReader | None = None
        self._look: SystemLook | None = None
        self._looked_at = 0.0
        self._last: Opened | None = None

    def read(self, reader: StoreReader, run: Run) -> Opened | None:
        """What the tab shows, if any of it is new. Reads only."""
        if self.tab == "log":
            self._read_log(reader)
        elif self.tab == "system":
            self._read_system(reader, run)
        elif self.tab == "settings":
            self._read_events(reader)
        elif self.tab == "epoch":
            self._read_anatomy(reader)
        opened = Opened(
            self.run_id,
            self.tab,
            anatomy=tuple(self._anatomy),
            pinned=reader.pinned_checkpoints(self.run_id) if self.tab == "checkpoints" else frozenset(),
            accepted=tuple(self._accepted),
            log=self._tail,
            system=self._look,
        )
        if opened == self._last:
            return None
        self._last = opened
        return opened

    def _read_anatomy(self, reader: StoreReader) -> None:
        """The epochs after the last one that is known, which may have been closed anew since."""
        last = self._anatomy[-1].epoch if self._anatomy else 1
        kept = [row for row in self._anatomy if row.epoch < last]
        self._anatomy = kept + reader.anatomy(self.run_id, after=last - 1)

    def _read_events(self, reader: StoreReader) -> None:
        events = reader.events(run_id=self.run_id, after=self._event_id, limit=_EVENTS_READ)
        self._event_id = events[-1].id if events else self._event_id
        self._accepted += [event for event in events if event.kind == ACCEPTED]

    def _read_log(self, reader: StoreReader) -> None:
        from simclr_tui.run.log_tail import LogFollower

        self._log = self._log or LogFollower(log_file(reader.runs_path, self.run_id))
        self._tail = self._log.read() or self._tail

    def _read_system(self, reader: StoreReader, run: Run) -> None:
        from simclr_tui.run.system import SystemReader

        now = time.monotonic()
        if self._look is None or now - self._looked_at >= _SYSTEM_SECONDS:
            self._system = self._system or SystemReader(reader.runs_path)
            self._look, self._looked_at = self._system.read(run), now


class OpenedFeed:
    """Reads whichever run and tab are open, and begins anew where they are others."""

    def __init__(self) -> None:
        """Nothing is open."""
        self._reader: OpenedReader | None = None

    def read(self, reader: StoreReader, runs: Sequence[Run], opened: tuple[str, str] | None) -> Opened | None:
        """What is new of the run and the tab that are open, if any are."""
        run = next((run for run in runs if opened is not None and run.id == opened[0]), None)
        if run is None or opened is None:
            self._reader = None
            return None
        if self._reader is None or (self._reader.run_id, self._reader.tab) != opened:
            self._reader = OpenedReader(*opened)
        return self._reader.read(reader, run)
