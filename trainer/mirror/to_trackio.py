"""Trackio, by its own client: a run in a local project, or wherever Trackio's own environment variables say.

Trackio says of a write that failed only that there was one, in a warning, so what it has is counted after each page.
"""

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from trainer.export.tags import DEVICE_PREFIX, RANK_PREFIX
from trainer.mirror.mark import Mark, Reached
from trainer.mirror.points import SAMPLED, Point
from trainer.mirror.sink import PROJECT, About, Sink

_WRITTEN_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class TrackioSink(Sink):
    """A run of Trackio."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._run: Any = None
        self._project = ""
        self._is_local = True
        self._count = 0
        self._held: set[Any] = set()

    def open(self, about: About, mark: Mark) -> Reached:
        """Begin or go on with the run of this name and id.

        Raises:
            Exception: what Trackio raises, as where a Space can't be reached.
        """
        import trackio

        self._project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        more = {"run_id": about.id, "tags": ", ".join(about.tags), "note": about.note}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._run = trackio.init(
                project=self._project,
                name=str(mark.own.get("name") or f"{about.name}-{about.id}"),
                config={name: value for name, value in (about.settings | more).items() if value not in ("", None)},
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        self._is_local = self._run.url is None and getattr(self._run, "_storage_mode", "sqlite") == "sqlite"
        self.where = f"run {self._run.name} of project {self._project}"
        if not self._is_local:
            return mark.reached
        self.where += f"; `trackio show --project {self._project}` shows it"
        rows = self._storage().get_logs(self._project, self._run.name)
        self._count = len(rows)
        self._held = {_known(row) for row in rows}
        return mark.reached if rows else {}

    def _storage(self) -> Any:
        from trackio.sqlite_storage import SQLiteStorage

        return SQLiteStorage

    def has(self, point: Point) -> bool:
        """Whether a row of the same step and the same values is there."""
        return not point.values or _signed(point.table in SAMPLED, point.step, point.values) in self._held

    def write(self, points: Sequence[Point]) -> None:
        """A row a point, which Trackio's own thread writes."""
        for point in points:
            if point.values:
                self._run.log(dict(point.values), step=point.step)
                self._count += 1
        self.flush()

    def flush(self) -> None:
        """See that all of it is written.

        Raises:
            OSError: Trackio did not write it in a minute.
        """
        deadline = time.monotonic() + _WRITTEN_SECONDS
        while self._is_local and self._storage().get_log_count(self._project, self._run.name) < self._count:
            if time.monotonic() > deadline:
                raise OSError(f"Trackio did not write all rows of {self._run.name}; look whether its disk is full")
            time.sleep(_LOOK_SECONDS)

    def sync(self, mark: Mark) -> None:
        """Note the name, which stays in Trackio when the run is renamed here."""
        mark.own = {"name": self._run.name}

    def close(self, _state: str) -> None:
        """End the run. Trackio has no place for how it ended."""
        self._run.finish()


def _known(row: Mapping[str, Any]) -> Any:
    values = {name: value for name, value in row.items() if name not in ("step", "timestamp")}
    return _signed(any(name.startswith((DEVICE_PREFIX, RANK_PREFIX)) for name in values), row["step"], values)


def _signed(is_device: bool, step: int, values: Mapping[str, Any]) -> Any:
    """What a row is known by. The step of a sample of the device is estimated, and may be another one today."""
    return (None if is_device else step, frozenset((name, str(value)) for name, value in values.items()))
