"""Making a backup of the store every few hours of training, beside the training."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from trainer.errors import BusyError, StoreError, TrainerError
from trainer.store.backup import backup, backups

BACKUP_SECONDS = 2 * 3600.0
"""Age of the newest backup from which another is made, by whichever trainer of the folder notices first."""

FIRST_SECONDS = 600.0
"""Training time until the first backup of a folder."""

_LOOK_SECONDS = 60.0
_RETRY_SECONDS = 1800.0


class BackupTimer:
    """Starts a backup in a thread of its own when one is due; the caller calls `tick` now and then."""

    def __init__(self, runs: Path, tell: Callable[[str, str], None]) -> None:
        """Args: the runs folder, and what takes a level and a sentence, from the backup's thread."""
        self._runs = runs
        self._tell = tell
        self._begun_at = time.monotonic()
        self._look_at = self._begun_at
        self._thread: threading.Thread | None = None
        self._told: str | None = None

    def tick(self) -> None:
        """Start a backup if one is due. Costs nothing most of the time, and never raises or waits."""
        if time.monotonic() < self._look_at or (self._thread is not None and self._thread.is_alive()):
            return
        self._look_at = time.monotonic() + min(_LOOK_SECONDS, FIRST_SECONDS)
        if self._is_due():
            self._thread = threading.Thread(target=self._work, name="backup", daemon=True)
            self._thread.start()

    def _is_due(self) -> bool:
        newest = next(iter(backups(self._runs)), None)
        if newest is None:
            return time.monotonic() - self._begun_at >= FIRST_SECONDS
        # A backup of the future is one of a clock that was wrong.
        return not 0 <= time.time() - newest.at < BACKUP_SECONDS

    def _work(self) -> None:
        try:
            made = backup(self._runs)
        except BusyError:
            return
        except StoreError as error:
            self._look_at = time.monotonic() + _RETRY_SECONDS
            self._say("warning", f"no backup of the store could be made: {error}")
        else:
            if self._told is None or not self._told.startswith("backed up"):
                self._say("info", f"backed up the store to {made.path} ({made.bytes / 1e6:,.1f} MB)")

    def _say(self, level: str, sentence: str) -> None:
        if sentence == self._told:
            return
        try:
            self._tell(level, sentence)
        except TrainerError:
            return  # told with the next try
        self._told = sentence
