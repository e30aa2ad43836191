"""A background thread that notes every second that the process lives, whether it gets on and what its device does."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from trainer.energy import NOTHING
from trainer.errors import StoreError, StoreLostError
from trainer.gpu import EnergySampler
from trainer.pulse import Pulse
from trainer.store.backup_timer import BackupTimer
from trainer.store.runs import RunStore

INTERVAL_SECONDS = 1.0
RANKS_EVERY = 5
"""Beats from one row of each rank to the next: with eight of them still fewer rows than steps."""

OfRanks = Callable[[dict[str, Any]], list[dict[str, Any]]]
"""From a sample of this process's own device to rows of `rank_samples`, of every rank."""


class Monitor:
    """Samples the device and beats the run's heart until it is closed. Use as a context manager."""

    def __init__(
        self,
        runs: Path,
        run_id: str,
        sampler: EnergySampler,
        pulse: Pulse | None = None,
        of_ranks: OfRanks | None = None,
    ) -> None:
        """Args: the runs folder, the run, what to sample, the pulse that tells of progress, and where several processes
        train the run what gives the figures of them all; nothing starts yet."""
        self._runs = runs
        self._run_id = run_id
        self._sampler = sampler
        self._pulse = pulse
        self._of_ranks = of_ranks
        self._samples = 0
        self._beats = -1
        self._backups = BackupTimer(runs, self._tell_of_backup)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="monitor", daemon=True)

    def __enter__(self) -> "Monitor":
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling, waiting for a sample that is being written."""
        self._closing.set()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        # A connection of its own: SQLite serialises the thread's writes with the loop's, each a millisecond.
        store: RunStore | None = None
        told = NOTHING
        try:
            while not self._closing.wait(INTERVAL_SECONDS):
                self._backups.tick()
                try:
                    store = store or self._opened()
                    sample, used = self._sampler.sample(), self._sampler.used()
                    store.beat(self._run_id, sample, used.since(told))
                    told = used  # what could not be written comes with the next one
                    self._put_ranks(store, sample)
                    self._note_progress(store)
                except (StoreError, StoreLostError):
                    continue  # a full disk; the loop says so, and a missing sample harms nothing
        finally:
            if store is not None:
                store.close()

    def _put_ranks(self, store: RunStore, sample: dict[str, Any]) -> None:
        self._samples += 1
        if self._of_ranks is not None and self._samples % RANKS_EVERY == 0:
            store.put_rank_samples(self._run_id, self._of_ranks(sample))

    def _opened(self) -> RunStore:
        store = RunStore.open(self._runs)
        try:
            store.begin_energy(self._run_id)
        except BaseException:
            store.close()
            raise
        return store

    def _tell_of_backup(self, level: str, sentence: str) -> None:
        with closing(RunStore.open(self._runs)) as store:  # the thread of a backup is not this one
            store.event(self._run_id, "backup", sentence, level=level)

    def _note_progress(self, store: RunStore) -> None:
        """Write that the trainer got on since the last look, whatever it is at; a step is not the only progress."""
        if self._pulse is None:
            return
        vital = self._pulse.read()
        if vital.beats != self._beats:
            store.update_run(self._run_id, progress_at=time.time(), phase=vital.phase)
            self._beats = vital.beats
