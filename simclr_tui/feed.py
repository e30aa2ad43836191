"""The only way from the store to the screen: a thread that polls and posts messages.

Widgets never touch the store, and a slow disk or a locked file only makes the picture stale. The connection is
read-only and its busy timeout short, so closing the dashboard never waits long for it.
"""

import shutil
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from simclr_tui.charts.curves import CurveReader
from simclr_tui.learning.reader import LearningReader
from simclr_tui.messages import KnownRead, Polled, PollFailed, StoreRefused
from simclr_tui.model import Curves, Learning, RunRow, Turn, Watched
from simclr_tui.run.opened import OpenedFeed
from simclr_tui.run_list.rows import RowReader
from trainer.devices import describe, gpus
from trainer.errors import StoreError, StoreVersionError, TrainerError
from trainer.paths import check_runs_dir, store_file
from trainer.queue import line
from trainer.store.connect import SCHEMA_VERSION, connect_reader, is_passing
from trainer.store.frozen import can_write, is_frozen
from trainer.store.reader import StoreReader

if TYPE_CHECKING:
    from simclr_tui.compare.reader import TotalsReader
    from simclr_tui.lab.bench import BenchLook
    from simclr_tui.lab.reader import BenchReader
    from trainer.store.totals import Totals

POLL_SECONDS = 0.5
_BUSY_TIMEOUT_SECONDS = 0.25
_FIRST_EVENTS = 200
_NEW_CURVES_SECONDS = 0.05
"""So long a poll reads runs that are drawn for the first time, so that the first of them don't wait for the last."""


def check_store(runs: Path) -> None:
    """See that the dashboard can open what is in a runs folder, if anything. Reads only.

    Raises:
        StoreError: the store is damaged or can't be read.
        StoreVersionError: it was made by a newer version.
    """
    check_runs_dir(runs)
    path = store_file(runs)
    if not path.exists():
        return
    try:
        _open(runs).close()
    except StoreError as error:
        if not is_passing(error) or "unable to open" in str(error):
            raise
        # Locked for the moment; the feed shows that as stale and goes on.


class Feed:
    """Reads the store about twice a second, only what is new and only what is shown."""

    def __init__(self, runs: Path, post: Callable[[Message], object], *, poll_seconds: float = POLL_SECONDS) -> None:
        """Args: the runs folder, what takes the messages (from the feed's own thread), and the time between polls."""
        self._runs = runs
        self._poll_seconds = poll_seconds
        self._post = post
        self._watched = Watched()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._reader: StoreReader | None = None
        self._inode = 0
        self._is_frozen = False
        """The reader sees nothing of what is written from now on."""
        self._readers: dict[str, CurveReader] = {}
        self._learning_reader: LearningReader | None = None
        self._bench_reader: BenchReader | None = None
        self._totals_reader: TotalsReader | None = None
        self._opened = OpenedFeed()
        self._rows: list[RunRow] | None = None
        self._row_reader = RowReader(runs)
        self._event_id = 0
        self._has_read = False
        self._is_another = False
        self._wants_known = False

    def watch(self, watched: Watched) -> None:
        """Say what is shown from now on; what is newly shown is read at once."""
        if watched != self._watched:
            self._watched = watched
            self._wake.set()

    def wake(self) -> None:
        """Poll now."""
        self._wake.set()

    def ask_known(self) -> None:
        """Read what estimates rest on, once."""
        self._wants_known = True
        self._wake.set()

    def close(self) -> None:
        """Ask the thread to end; a query that is going on is cut off."""
        self._closing.set()
        self._wake.set()
        reader = self._reader
        if reader is not None:
            reader.connection.interrupt()

    def run(self) -> None:
        """Poll until closed. Runs in a thread of its own."""
        while not self._closing.is_set():
            self._poll_safely()
            self._wake.wait(self._poll_seconds)
            self._wake.clear()
        self._disconnect()

    def _poll_safely(self) -> None:
        try:
            self._post(self._poll())
            self._has_read = self._has_read or self._reader is not None
            self._tell_known()
        except StoreVersionError as error:
            self._post(StoreRefused(str(error)))
        except StoreError as error:
            self._disconnect()
            self._forget()  # what the readers have read since the last message was not shown
            refused = not self._has_read and not is_passing(error)
            self._post(StoreRefused(str(error)) if refused else PollFailed(str(error.__cause__ or error)))
        except (TrainerError, OSError) as error:
            self._disconnect()
            self._post(PollFailed(str(error)))

    def _tell_known(self) -> None:
        if self._wants_known:
            from simclr_tui.launch.estimate_reader import read_known  # here: the first frame needs none of it

            self._post(KnownRead(read_known(self._reader)))
            self._wants_known = False

    def _poll(self) -> Polled:
        reader = self._connected()
        now = time.time()
        rows = self._read_rows(reader, now) if reader is not None else []
        changed = rows if rows != self._rows else None
        if reader is None:
            self._rows = rows
            return Polled(at=now, rows=changed, events=(), device=None, curves=(), free_bytes=self._free_bytes())
        events = reader.events(after=self._event_id, limit=_FIRST_EVENTS)
        polled = Polled(
            at=now,
            rows=changed,
            events=events,
            device=reader.latest_device_sample(),
            learning=self._learning(reader, rows),
            curves=self._curves(reader, rows),
            benchmark=self._benchmark(reader, rows),
            totals=self._totals(reader, rows),
            opened=self._opened.read(reader, [row.run for row in rows], self._watched.opened),
            free_bytes=self._free_bytes(),
            is_another_store=self._is_another,
        )
        self._is_another = False
        # Only now, since what was read is shown only if nothing above has failed.
        self._rows = rows
        self._event_id = events[-1].id if events else self._event_id
        return polled

    def _read_rows(self, reader: StoreReader, now: float) -> list[RunRow]:
        shows_new_curves = not self._readers.keys() >= set(self._watched.run_ids)
        return self._row_reader.read(reader, self._turns(reader), now, is_hurried=shows_new_curves)

    def _free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._runs).free
        except OSError:  # no folder yet
            return None

    def _turns(self, reader: StoreReader) -> dict[str, Turn]:
        """Who waits for a device, by run."""
        return {
            waiter.run.id: Turn(_device_words(waiter.device), waiter.place, waiter.is_held)
            for waiter in line(reader, self._runs)
        }

    def _curves(self, reader: StoreReader, rows: list[RunRow]) -> list[Curves]:
        """What is new of the runs that are drawn; of those drawn for the first time the cursor's comes first."""
        watched = self._watched
        runs = {row.run.id: row.run for row in rows}
        wanted = [run_id for run_id in watched.run_ids if run_id in runs]
        self._readers = {run_id: self._readers[run_id] for run_id in wanted if run_id in self._readers}
        windows = {run_id: (first, last) for run_id, first, last in watched.windows}
        new = [run_id for run_id in wanted if run_id not in self._readers]
        end = time.monotonic() + _NEW_CURVES_SECONDS
        found: list[Curves | None] = []
        for run_id in (*self._readers, *new):
            if run_id in new[1:] and time.monotonic() > end:
                self._wake.set()  # the rest at once, but not before these are shown
                break
            if run_id in new:
                self._readers[run_id] = CurveReader(run_id)
            one, window = self._readers[run_id], windows.get(run_id)
            found.append(one.read(reader, runs[run_id], watched.columns, charts=watched.charts, window=window))
        return [curves for curves in found if curves is not None]

    def _learning(self, reader: StoreReader, rows: list[RunRow]) -> Learning | None:
        run_id = self._watched.learning_id
        run = next((row.run for row in rows if row.run.id == run_id), None)
        if run is None:
            self._learning_reader = None
            return None
        if self._learning_reader is None or self._learning_reader.run_id != run.id:
            self._learning_reader = LearningReader(run.id)
        return self._learning_reader.read(reader, run, [row.run for row in rows])

    def _benchmark(self, reader: StoreReader, rows: list[RunRow]) -> "BenchLook | None":
        run_id = self._watched.benchmark_id
        run = next((row.run for row in rows if row.run.id == run_id), None)
        if run is None:
            self._bench_reader = None
            return None
        if self._bench_reader is None or self._bench_reader.run_id != run.id:
            from simclr_tui.lab.reader import BenchReader  # here: the first frame needs none of it

            self._bench_reader = BenchReader(run.id)
        return self._bench_reader.read(reader, run)

    def _totals(self, reader: StoreReader, rows: list[RunRow]) -> "dict[str, Totals] | None":
        """What the compared runs have used, of those of which anything is new."""
        wanted = self._watched.compared_ids
        if not wanted:
            self._totals_reader = None
            return None
        if self._totals_reader is None:
            from simclr_tui.compare.reader import TotalsReader  # here: the first frame needs none of it

            self._totals_reader = TotalsReader()
        return self._totals_reader.read(reader, [row.run.id for row in rows if row.run.id in wanted])

    def _forget(self) -> None:
        """Let the readers begin anew."""
        self._row_reader = RowReader(self._runs)
        self._opened = OpenedFeed()
        self._readers, self._learning_reader, self._bench_reader, self._totals_reader = {}, None, None, None

    def _connected(self) -> StoreReader | None:
        """The open store, opened again where the file was replaced; None as long as there is none with tables."""
        path = store_file(self._runs)
        try:
            inode = path.stat().st_ino
        except FileNotFoundError:
            self._disconnect()
            self._inode = 0  # the next file may well get the same number again
            if self._has_read:
                words = "is not there any more: put it back, or launch a run"
                raise StoreError(f"{path.name} {words}") from None
            return None
        if self._reader is not None and inode == self._inode and not self._is_frozen:
            return self._reader
        self._disconnect()
        if inode != self._inode:
            self._forget()
            self._event_id = 0
            self._is_another = self._has_read
        self._is_frozen = is_frozen(path)
        self._reader, self._inode = _open(self._runs), inode
        version = self._reader.schema_version()
        if version == 0:  # the first trainer is making it
            self._disconnect()
            return None
        if version < SCHEMA_VERSION and can_write(path):  # another person's is read as it is
            self._disconnect()
            _upgrade(self._runs)
            self._reader = _open(self._runs)
        return self._reader

    def _disconnect(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


@cache
def _device_words(name: str) -> str:
    """What people call a device; NVML is asked once, and not at all where the name says enough."""
    return describe(name, gpus() if name.startswith("GPU-") else ())


def _open(runs: Path) -> StoreReader:
    return StoreReader(connect_reader(store_file(runs), timeout_seconds=_BUSY_TIMEOUT_SECONDS), runs)


def _upgrade(runs: Path) -> None:
    """Bring an older store to the schema that is read here; the only write, and a rare one."""
    from trainer.store.runs import RunStore

    RunStore.open(runs).close()
