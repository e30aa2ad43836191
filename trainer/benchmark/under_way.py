"""Which turn is under way, on the disk, so that a trainer after one that was lost knows what it was lost in.

What kills a process leaves no time to write a row: the kernel when memory is full, a crash of a driver, a power cut.
"""

import json
from pathlib import Path
from typing import NamedTuple

from trainer.durable import write_durably

MOST_LOSSES = 2
"""Trainers that may be lost in a trial before it is taken for the reason; one may be lost to a reboot."""


class Lost(NamedTuple):
    """A turn in which a trainer was lost."""

    trial: int
    round: int
    losses: int
    """Trainers that were lost in this trial, one after the other."""


class UnderWay:
    """The mark of the turn that is under way."""

    def __init__(self, path: Path) -> None:
        """Args: the file, which need not exist; what an earlier trainer left in it is read."""
        self._path = path
        self.lost = self._read()
        """The turn that the last trainer was lost in; None where it ended in order."""

    def begin(self, trial: int, round_number: int) -> None:
        """Note that a turn begins.

        A disk that is full leaves the mark out, which only matters if the trainer is then lost.
        """
        losses = self.lost.losses if self.lost is not None and self.lost.trial == trial else 0
        self._write({"trial": trial, "round": round_number, "losses": losses})

    def end(self) -> None:
        """Note that it ended in whatever way, with the trainer alive."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return

    def survived(self, trial: int) -> None:
        """Forget that a trainer was lost in a trial: it has had a turn since."""
        if self.lost is not None and self.lost.trial == trial:
            self.lost = None

    def _read(self) -> Lost | None:
        try:
            found = json.loads(self._path.read_bytes())
            return Lost(int(found["trial"]), int(found["round"]), int(found["losses"]) + 1)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, mark: dict[str, int]) -> None:
        try:
            write_durably(self._path, json.dumps(mark).encode())
        except OSError:
            return
