"""TensorBoard's event files below the run, written while it goes on.

Each start of the mirror begins a new file, since a writer can't go on in one that may end in half a record. What lies
in the last file beyond the mark is cut off, as it is written again: so the files hold every value once. A TensorBoard
that is open and has read the rest already is told to forget it, by the event that TensorFlow's own writers begin a
restarted run with (SessionLog.START).
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.durable import flush, sync
from trainer.export.event_writer import EventWriter
from trainer.mirror.mark import Mark, Reached
from trainer.mirror.points import Point
from trainer.mirror.sink import About, Sink
from trainer.paths import tensorboard_dir
from trainer.sharing import create, make_folder


class TensorBoardSink(Sink):
    """Writes event files."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._path = Path()
        self._file: Any = None
        self._writer: EventWriter | None = None
        self._last_step = -1
        self._is_empty = True
        self._is_marked = False

    def open(self, about: About, mark: Mark) -> Reached:
        """Begin a new file behind those that the mark knows. Where they are gone all of the run is written again.

        Raises:
            OSError: the disk refused.
        """
        folder = tensorboard_dir(about.runs, about.id)
        make_folder(folder, exist_ok=True)
        is_known = _cut(folder, mark.own)
        if not is_known:
            _set_aside(folder)
        reached = mark.reached if is_known else {}
        self._last_step = int(mark.own["last_step"]) if is_known else -1
        self.where = f"{folder}; `tensorboard --logdir {about.runs}` shows all runs"
        self._path = _new_path(folder, about.id)
        self._file = os.fdopen(create(self._path), "wb")
        self._writer = EventWriter(self._file, time.time())
        self._writer.restart(self._last_step + 1)
        self.flush()
        sync(folder)
        return dict(reached)

    def write(self, points: Sequence[Point]) -> None:
        """An event a point."""
        assert self._writer is not None
        self._is_empty = False
        self._writer.write((point.step, point.seconds, dict(point.values)) for point in points if point.values)
        self._last_step = max(self._last_step, *(point.step for point in points))

    def flush(self) -> None:
        """Hand everything to the system, where TensorBoard sees it."""
        assert self._writer is not None
        self._writer.flush()

    def sync(self, mark: Mark) -> None:
        """Sync the file, and note its length in the mark, which stays with the file before as long as it is empty."""
        if self._is_empty and mark.own:
            return
        self.flush()
        flush(self._file.fileno())
        mark.own = {"file": self._path.name, "bytes": self._file.tell(), "last_step": self._last_step}
        self._is_marked = True

    def close(self, _state: str) -> None:
        """Close the file, of which nothing is left where there was nothing to write."""
        self._file.close()
        if self._is_empty and not self._is_marked:
            self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Close the file as it is; the next one has what is not in the mark."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            if not self._is_marked:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)


def _cut(folder: Path, own: dict[str, Any]) -> bool:
    """Cut off what no mark tells of; False where the file that the mark is of is not there as it should be."""
    try:
        marked, size = folder / Path(str(own["file"])).name, int(own["bytes"])
        if marked.stat().st_size < size:
            return False
        os.truncate(marked, size)
    except (OSError, KeyError, TypeError, ValueError):
        return False
    for path in _files(folder):
        if path.name > marked.name:  # begun after the mark was written, and without one of its own
            path.unlink(missing_ok=True)
    return True


def _set_aside(folder: Path) -> None:
    """Give files that no mark tells of a name that TensorBoard does not read; nobody asked for their deletion."""
    for number, path in enumerate(_files(folder), start=1):
        path.rename(folder / f"aside-{time.time_ns()}-{number}")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*"))


def _new_path(folder: Path, run_id: str) -> Path:
    """A name that comes after those that are there, in the order in which TensorBoard reads them."""
    taken = [path.name.split(".")[3] for path in _files(folder)]
    seconds = max(int(time.time()), *(int(one) + 1 for one in taken if one.isdigit()), 0)
    return folder / f"events.out.tfevents.{seconds:010d}.{run_id}"
