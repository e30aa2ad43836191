"""Reading what is drawn of a run, each poll only what is new."""

import math
from typing import Any

from simclr_tui.model import Curves
from trainer.store.reader import StoreReader
from trainer.store.records import AnatomyRow, Checkpoint, Evaluation, Event, Run
from trainer.store.series import BUCKET_SIZES, Point

DRAWN = ("loss", "acc_top1", "acc_top5", "t_batch", "t_data")
DEVICE_SECONDS = 600
ANATOMY_EPOCHS = 8
"""So many of the newest epochs are shown by their parts."""
_EVENTS_KEPT = 500


class CurveReader:
    """The curves of one run as far as they were read."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self.run_id = run_id
        self._steps: dict[str, list[Point]] = {}
        self._read_to = (0, 0)
        self._epochs: list[dict[str, Any]] = []
        self._anatomy: list[AnatomyRow] = []
        self._device: list[dict[str, Any]] = []
        self._events: list[Event] = []
        self._evaluations: list[Evaluation] = []
        self._checkpoints: list[Checkpoint] = []
        self._checkpoint_failure: Event | None = None
        self._metrics: dict[str, list[tuple[int, float | None]]] = {}

    def read(self, reader: StoreReader, run: Run, columns: int) -> Curves | None:
        """The run's curves if anything about them is new; a series has so many points at least. Reads only."""
        changes = [
            self._read_steps(reader, columns),
            self._read_epochs(reader),
            self._read_device(reader),
            self._read_events(reader),
            self._read_evaluations(reader, run),
            self._read_checkpoints(reader),
            self._read_checkpoint_failure(reader),
            self._read_metrics(reader),
        ]
        if not any(changes):
            return None
        return Curves(
            run_id=self.run_id,
            steps={name: tuple(points) for name, points in self._steps.items()},
            epochs=tuple(self._epochs),
            anatomy=tuple(self._anatomy),
            device=tuple(self._device),
            events=tuple(self._events),
            evaluations=tuple(self._evaluations),
            checkpoints=tuple(self._checkpoints),
            checkpoint_failure=self._checkpoint_failure,
            # SQLite keeps what is not a number as NULL.
            metrics={
                name: tuple((step, value) for step, value in series if value is not None)
                for name, series in self._metrics.items()
            },
        )

    def _read_steps(self, reader: StoreReader, columns: int) -> bool:
        last = reader.last_step(self.run_id)
        if (last, columns) == self._read_to:
            return False
        # Buckets grow sixteenfold: the largest that still leave a point for each column, which is up to 16 of them.
        size = max((size for size in (1, *BUCKET_SIZES) if last >= columns * size), default=1)
        enough = math.ceil(last / (2 * size))
        self._steps = {name: reader.series(self.run_id, name, first=1, last=last, columns=enough) for name in DRAWN}
        self._read_to = (last, columns)
        return True

    def _read_epochs(self, reader: StoreReader) -> bool:
        # The last row is read again: an epoch that is finished after a resume replaces it.
        known = self._epochs[-1:]
        fresh = reader.epochs(self.run_id, after=known[0]["epoch"] - 1 if known else 0)
        if fresh == known:
            return False
        self._epochs = self._epochs[: -len(known) or None] + fresh
        newest = self._epochs[-1]["epoch"] if self._epochs else 0
        self._anatomy = reader.anatomy(self.run_id, after=newest - ANATOMY_EPOCHS)  # stored before the row is
        return True

    def _read_device(self, reader: StoreReader) -> bool:
        after = self._device[-1]["at"] if self._device else 0.0
        fresh = reader.device_samples(self.run_id, after=after, limit=DEVICE_SECONDS)
        self._device = (self._device + fresh)[-DEVICE_SECONDS:]
        return bool(fresh)

    def _read_events(self, reader: StoreReader) -> bool:
        after = self._events[-1].id if self._events else 0
        fresh = reader.events(run_id=self.run_id, after=after, limit=_EVENTS_KEPT)
        self._events = (self._events + fresh)[-_EVENTS_KEPT:]
        return bool(fresh)

    def _read_evaluations(self, reader: StoreReader, run: Run) -> bool:
        before = self._evaluations
        if run.source_run_id:
            made = reader.evaluations(run.source_run_id)
            self._evaluations = [evaluation for evaluation in made if evaluation.job_id == self.run_id]
        else:
            self._evaluations = reader.evaluations(self.run_id)
        return self._evaluations != before

    def _read_checkpoints(self, reader: StoreReader) -> bool:
        before = self._checkpoints
        self._checkpoints = reader.checkpoints(self.run_id)
        return self._checkpoints != before

    def _read_checkpoint_failure(self, reader: StoreReader) -> bool:
        before = self._checkpoint_failure
        self._checkpoint_failure = reader.checkpoint_failure(self.run_id)
        return self._checkpoint_failure != before

    def _read_metrics(self, reader: StoreReader) -> bool:
        # The last step is read again: its figures may not all have been there, and a resume makes them anew.
        last = max((series[-1][0] for series in self._metrics.values()), default=0)
        fresh = reader.metrics(self.run_id, after=last - 1)
        known = {name: [pair for pair in series if pair[0] >= last] for name, series in self._metrics.items()}
        if fresh == {name: series for name, series in known.items() if series}:
            return False
        for name in {*known, *fresh}:
            before = [pair for pair in self._metrics.get(name, ()) if pair[0] < last]
            self._metrics[name] = before + fresh.get(name, [])
        self._metrics = {name: series for name, series in self._metrics.items() if series}
        return True
