"""Whether the disk has room for checkpoints: told before a run starts, and while it goes on.

Three are needed at least: the new one is written before an older one goes, and one more that is kept for its score or
its epoch must not end the run.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from trainer.errors import TrainerError

FEWEST = 3
"""Checkpoints for which there must be room, or no run starts."""
WARN_BELOW = 5
"""Checkpoints below which a person is warned."""


class Room:
    """The room on the disk of one run's checkpoints."""

    def __init__(self, folder: Path, warn: Callable[[str, str], None]) -> None:
        """Args: a folder on that disk, and what is told (kind, sentence) when room gets short."""
        self._folder = folder
        self._warn = warn
        self._is_short = False

    def require(self, checkpoint_bytes: int) -> None:
        """Refuse to begin where a run would soon be unable to save itself.

        Raises:
            TrainerError: there is no room for `FEWEST` checkpoints.
        """
        free = self._free_bytes()
        if free < FEWEST * checkpoint_bytes:
            raise TrainerError(
                f"{self._folder}: the disk has {size(free)} free and {FEWEST} checkpoints of {size(checkpoint_bytes)} "
                f"each need {size(FEWEST * checkpoint_bytes)}; free some space, or name another --runs-dir"
            )
        self.look(checkpoint_bytes)

    def look(self, checkpoint_bytes: int) -> None:
        """Warn where there is no room for `WARN_BELOW` checkpoints; once, until there has been more room again."""
        free = self._free_bytes()
        is_short = free < WARN_BELOW * checkpoint_bytes
        if is_short and not self._is_short:
            self._warn(
                "disk-low",
                f"the disk of {self._folder} has {size(free)} free, room for {free // max(1, checkpoint_bytes)} more "
                f"checkpoints of {size(checkpoint_bytes)}; free some space before they can't be written",
            )
        self._is_short = is_short

    def _free_bytes(self) -> int:
        """Bytes that this process may still write; root's reserve is not counted."""
        folder = self._folder
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free


def size(count: float) -> str:
    """A number of bytes for people, in the binary unit that fits: 1.50 GiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} GiB" if value < 1000 else f"{value:,.0f} GiB"
