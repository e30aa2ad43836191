"""What a list tells of a run beyond its row: means of its last steps, its best score, its speed.

Each takes a few index lookups, so they are read again only for runs that have got on, and where there are very many of
them not all at once. Reads only.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trainer.store.reader import StoreReader
from trainer.store.records import Run

SMOOTHED_STEPS = 256
"""So many of the last steps a mean is made of, or up to fifteen fewer."""

_BUCKET = 16
_EPOCHS = 5
_WITH_DATASETS = 2
"""The schema version since which an evaluation may be of another data set."""

_MEAN = """
    SELECT sum(mean * count) / sum(count) FROM
      (SELECT mean, count FROM buckets WHERE run_id = ? AND name = ? AND size = ? ORDER BY bucket DESC LIMIT ?)
"""
_EPOCH = """
    SELECT (SELECT max(knn_top1) FROM epochs WHERE run_id = :run),
      (SELECT images_per_second FROM epochs WHERE run_id = :run ORDER BY epoch DESC LIMIT 1),
      (SELECT avg(t_epoch) FROM (SELECT t_epoch FROM epochs WHERE run_id = :run ORDER BY epoch DESC LIMIT :epochs))
"""
_LINEAR = "SELECT run_id, top1 FROM evaluations WHERE protocol = 'linear' AND layer = 'h' AND labels_per_class = 0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Figures of a run; None where nothing is known yet."""

    loss: float | None = None
    """Mean of its last steps."""
    acc_top1: float | None = None
    """The same of the accuracy while training, 0 to 1."""
    best_knn: float | None = None
    """The best kNN score of all epochs, 0 to 1."""
    linear: float | None = None
    """The newest linear accuracy of h on the run's own data set, 0 to 1."""
    images_per_second: float | None = None
    """In its newest epoch."""
    epoch_seconds: float | None = None
    """Mean t_epoch of its last epochs."""


NO_FIGURES = Figures()


class FigureReader:
    """The figures of runs as far as they were read."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._known: dict[str, tuple[object, Figures]] = {}
        self._linear: dict[str, float | None] = {}
        self._linear_to: object = None

    def read(
        self, reader: StoreReader, runs: Iterable[Run], *, seconds: float = math.inf
    ) -> tuple[Mapping[str, Figures], bool]:
        """The figures of runs by id, and whether all of them are of now.

        Args:
            reader: the store.
            runs: whose figures are wanted.
            seconds: no run is begun after so many; the next call goes on.
        """
        end = time.monotonic() + seconds
        self._read_linear(reader)
        found: dict[str, Figures] = {}
        is_whole = True
        for run in runs:
            asked = (run.step, run.epoch, run.knn_top1, run.lifecycle, run.lifecycle_at, self._linear.get(run.id))
            known = self._known.get(run.id)
            if known is None or known[0] != asked:
                if time.monotonic() < end:
                    known = self._known[run.id] = (asked, self._figures(reader, run))
                else:
                    is_whole = False
            found[run.id] = known[1] if known is not None else NO_FIGURES
        return found, is_whole

    def _figures(self, reader: StoreReader, run: Run) -> Figures:
        if run.step is None:
            return NO_FIGURES
        means = [
            _number(reader._rows(_MEAN, (run.id, name, _BUCKET, SMOOTHED_STEPS // _BUCKET))[0][0])
            for name in ("loss", "acc_top1")
        ]
        best, speed, seconds = map(_number, reader._rows(_EPOCH, {"run": run.id, "epochs": _EPOCHS})[0])
        return Figures(
            loss=means[0],
            acc_top1=means[1],
            best_knn=best,
            linear=self._linear.get(run.id),
            images_per_second=speed,
            epoch_seconds=seconds,
        )

    def _read_linear(self, reader: StoreReader) -> None:
        """Read the scores of all runs again where there is a new one."""
        newest = reader._rows("SELECT rowid, at FROM evaluations ORDER BY rowid DESC LIMIT 1")
        asked = tuple(newest[0]) if newest else ()
        if asked == self._linear_to:
            return
        own = " AND dataset = ''" if reader.schema_version() >= _WITH_DATASETS else ""
        rows = reader._rows(f"{_LINEAR}{own} ORDER BY at, rowid")
        self._linear = {run_id: _number(score) for run_id, score in rows}
        self._linear_to = asked


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
