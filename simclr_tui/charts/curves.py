"""Reading what is drawn of a run, each poll only what is new."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from simclr_tui.charts.drawn import FIRST_CHARTS
from simclr_tui.charts.ids import DEVICE, step_series
from simclr_tui.charts.milestones import MILESTONES
from simclr_tui.charts.step_reader import StepReader
from simclr_tui.model import Curves
from trainer.store.history import evaluations_mark, events_of_kinds, newest_metrics
from trainer.store.rank_samples import rank_samples
from trainer.store.reader import StoreReader
from trainer.store.records import AnatomyRow, Checkpoint, Evaluation, Event, Run
from trainer.store.series import BUCKET_SIZES, METRIC, Point
from trainer.straggler import WINDOW_SECONDS

if TYPE_CHECKING:
    from simclr_tui.charts.device_reader import DeviceReader

DEVICE_SECONDS = 600
ANATOMY_EPOCHS = 8
"""So many of the newest epochs are shown by their parts."""
_EVENTS_KEPT = 500
_KINDS = (*MILESTONES, "forked", "settings-accepted")
"""Of events that charts show however long ago they were."""
_MOST_METRICS = 32
"""Of a run with more series of `metrics` only those are read that are shown."""


class CurveReader:
    """The curves of one run as far as they were read."""

    def __init__(self, run_id: str) -> None:
        """Args: the run; nothing is read yet."""
        self.run_id = run_id
        self._steps = StepReader(run_id)
        self._epochs: list[dict[str, Any]] = []
        self._anatomy: list[AnatomyRow] = []
        self._device: list[dict[str, Any]] = []
        self._ranks: list[dict[str, Any]] = []
        self._events: list[Event] = []
        self._evaluations: list[Evaluation] = []
        self._evaluations_mark: object = None
        self._checkpoints: list[Checkpoint] = []
        self._checkpoint_failure: Event | None = None
        self._history: list[Event] = []
        self._newest_metrics: dict[str, tuple[int, float | None]] = {}
        self._metrics: dict[str, list[Point]] = {}
        self._metrics_asked: tuple[object, ...] = ()
        self._device_history: DeviceReader | None = None

    def read(
        self,
        reader: StoreReader,
        run: Run,
        columns: int,
        *,
        charts: Collection[str] = FIRST_CHARTS,
        window: tuple[int, int] | None = None,
    ) -> Curves | None:
        """The run's curves if anything about them is new. Reads only.

        Args:
            reader: the store.
            run: its row.
            columns: a series has so many points at least.
            charts: ids of those that are shown; what none of them shows is not read.
            window: the steps between which they are looked at, None for all.
        """
        changes = [
            self._steps.read(reader, columns, step_series(charts), window),
            self._read_epochs(reader),
            self._read_device(reader),
            self._read_ranks(reader),
            self._read_device_history(reader, charts),
            self._read_events(reader),
            self._read_evaluations(reader, run),
            self._read_checkpoints(reader),
            self._read_checkpoint_failure(reader),
            self._read_metrics(reader, columns, charts, window),
        ]
        return self._curves() if any(changes) else None

    def read_all(
        self,
        reader: StoreReader,
        run: Run,
        columns: int,
        *,
        charts: Collection[str],
        window: tuple[int, int] | None = None,
    ) -> Curves:
        """The same with everything at once, however long it takes: for commands. Reads only."""
        while self.read(reader, run, columns, charts=charts, window=window) is not None:
            pass
        return self._curves()

    def _curves(self) -> Curves:
        return Curves(
            run_id=self.run_id,
            steps={name: tuple(points) for name, points in self._steps.whole.items()},
            detail={name: tuple(points) for name, points in self._steps.detail.items()},
            epochs=tuple(self._epochs),
            anatomy=tuple(self._anatomy),
            device=tuple(self._device),
            ranks=tuple(self._ranks),
            device_history=self._device_history.rows if self._device_history is not None else (),
            events=tuple(self._events),
            history=tuple(self._history),
            evaluations=tuple(self._evaluations),
            checkpoints=tuple(self._checkpoints),
            checkpoint_failure=self._checkpoint_failure,
            metrics={name: tuple((p.last_step, p.last) for p in points) for name, points in self._metrics.items()},
            metric_points={name: tuple(points) for name, points in self._metrics.items()},
            metric_names=tuple(self._newest_metrics),
        )

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

    def _read_ranks(self, reader: StoreReader) -> bool:
        before, self._ranks = self._ranks, rank_samples(reader, self.run_id, seconds=WINDOW_SECONDS)
        return self._ranks != before

    def _read_events(self, reader: StoreReader) -> bool:
        after = self._events[-1].id if self._events else 0
        fresh = reader.events(run_id=self.run_id, after=after, limit=_EVENTS_KEPT)
        if not fresh:
            return False
        self._events = (self._events + fresh)[-_EVENTS_KEPT:]
        known = self._history[-1].id if self._history else 0
        self._history += events_of_kinds(reader, self.run_id, _KINDS, after=known)
        return True

    def _read_evaluations(self, reader: StoreReader, run: Run) -> bool:
        scored = run.source_run_id or self.run_id
        mark = evaluations_mark(reader, scored)
        if mark == self._evaluations_mark:
            return False
        before, self._evaluations_mark = self._evaluations, mark
        made = reader.evaluations(scored)
        self._evaluations = [one for one in made if not run.source_run_id or one.job_id == self.run_id]
        return self._evaluations != before

    def _read_checkpoints(self, reader: StoreReader) -> bool:
        before = self._checkpoints
        self._checkpoints = reader.checkpoints(self.run_id)
        return self._checkpoints != before

    def _read_checkpoint_failure(self, reader: StoreReader) -> bool:
        before = self._checkpoint_failure
        self._checkpoint_failure = reader.checkpoint_failure(self.run_id)
        return self._checkpoint_failure != before

    def _read_device_history(self, reader: StoreReader, charts: Collection[str]) -> bool:
        if not any(name.startswith(DEVICE) for name in charts):
            self._device_history = None
            return False
        if self._device_history is None:
            from simclr_tui.charts.device_reader import DeviceReader  # here: the first frame shows none of it

            self._device_history = DeviceReader(self.run_id)
        return self._device_history.read(reader)

    def _read_metrics(
        self, reader: StoreReader, columns: int, charts: Collection[str], window: tuple[int, int] | None
    ) -> bool:
        newest = newest_metrics(reader, self.run_id)
        shown = {name.removeprefix(METRIC) for name in charts if name.startswith(METRIC)}
        wanted = {name for name in newest if name in shown or len(newest) <= _MOST_METRICS}
        asked = (columns, window, frozenset(wanted))
        is_same = asked == self._metrics_asked
        if is_same and newest == self._newest_metrics:
            return False
        before, self._newest_metrics, self._metrics_asked = self._newest_metrics, newest, asked
        self._metrics = {
            name: self._metrics[name]
            if is_same and newest[name] == before.get(name)
            else self._metric(reader, name, newest[name][0], columns, window)
            for name in sorted(wanted)
        }
        return True

    def _metric(
        self, reader: StoreReader, name: str, last: int, columns: int, window: tuple[int, int] | None
    ) -> list[Point]:
        """A series of `metrics` as a whole, and finer in the window."""
        points = reader.metric(self.run_id, name, first=0, last=last, columns=columns)
        for _ in BUCKET_SIZES if window is not None else ():
            touched = [p for p in points if window and p.last_step >= window[0] and p.first <= window[1]]
            if len(touched) >= columns or all(p.first == p.last_step for p in touched):
                break
            first, until = touched[0].first, touched[-1].last_step
            # Step 0 is in the first bucket.
            fine = reader.metric(self.run_id, name, first=0 if first == 1 else first, last=until, columns=columns)
            points = [*(p for p in points if p.last_step < first), *fine, *(p for p in points if p.first > until)]
        return points
