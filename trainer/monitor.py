"""A background thread that notes every second that the process lives and what its device does."""

import threading
from pathlib import Path

from trainer.errors import StoreError
from trainer.gpu import Sampler
from trainer.store.runs import RunStore

INTERVAL_SECONDS = 1.0


class Monitor:
    """Samples the device and beats the run's heart until it is closed. Use as a context manager."""

    def __init__(self, runs: Path, run_id: str, sampler: Sampler) -> None:
        """Args: the runs folder, the run, and what to sample; nothing starts yet."""
        self._runs = runs
        self._run_id = run_id
        self._sampler = sampler
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
        try:
            while not self._closing.wait(INTERVAL_SECONDS):
                try:
                    store = store or RunStore.open(self._runs)
                    store.beat(self._run_id, self._sampler.sample())
                except StoreError:
                    continue  # a full disk; the loop says so, and a missing sample harms nothing
        finally:
            if store is not None:
                store.close()
