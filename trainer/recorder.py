"""From steps on the device to rows in the store, about once a second and before every checkpoint.

The metrics of a step stay on the device until a flush fetches all that are waiting in one copy, so the loop is not
made to wait for its own figures. A flush before each checkpoint means that whatever a checkpoint has behind it is
committed: a resumed run can't leave a gap.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.errors import NonFiniteError, StoreError
from trainer.store.records import StepRow
from trainer.store.runs import RunStore
from trainer.timing import DeviceClock, Span

FLUSH_SECONDS = 1.0
METRICS = ("loss", "acc_top1", "acc_top5", "acc_mean_pos", "grad_norm")
"""What `StepRecord.metrics` holds, in this order."""

_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that was taken; its metrics may still be on their way on the device."""

    step: int
    epoch: int
    metrics: Tensor
    lr: float
    t_data: float
    span: Span


class Recorder:
    """Collects the steps of a run and writes them in batches."""

    def __init__(
        self,
        store: RunStore,
        run_id: str,
        clock: DeviceClock,
        *,
        resumed_after: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Args: the store and run, the clock of the spans, the step that training goes on after, and where to say
        what the store could not take."""
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._say = say
        self._waiting: list[StepRecord] = []
        self._rows: list[StepRow] = []
        self._flushed_at = time.monotonic()
        self._retry_at = 0.0
        self.last: StepRow | None = None
        self.recent_loss: float | None = None
        """Mean over the steps of the latest flush, None where one of them is not finite."""
        replayed = store.steps(run_id, after=resumed_after)
        self._stored = {row["step"]: row["loss"] for row in replayed}
        self._replay_length = len(replayed)
        self._replay_differs: int | None = None

    def add(self, record: StepRecord) -> None:
        """Take a step in; nothing is fetched or written."""
        self._waiting.append(record)

    @property
    def due(self) -> bool:
        """Whether the last flush is so long ago that the next one is due."""
        return time.monotonic() - self._flushed_at >= FLUSH_SECONDS

    def flush(self, *, trained_seconds: float, retry: bool = False) -> None:
        """Fetch and commit everything that was taken in.

        A store that can't be written (a full disk) keeps the rows for a later flush, and says so in the log.

        Args:
            trained_seconds: of the run so far.
            retry: try even if the store refused a moment ago.

        Raises:
            NonFiniteError: a loss or gradient was not finite. The steps before it and an event are committed.
        """
        self._flushed_at = time.monotonic()
        bad = self._fetch()
        if self._rows and (retry or time.monotonic() >= self._retry_at):
            self._commit(trained_seconds)
        if bad is not None:
            message = (
                f"loss {bad.loss} with gradient norm {bad.grad_norm} at step {bad.step} (learning rate {bad.lr:.3g}); "
                "lower --learning-rate or raise --temperature, then launch a new run"
            )
            self._tell("non-finite", message, level="error", step=bad.step)
            raise NonFiniteError(message)

    def _fetch(self) -> StepRow | None:
        """Turn waiting steps into rows; the first one whose loss or gradient is not finite."""
        if not self._waiting:
            return None
        values = torch.stack([record.metrics for record in self._waiting]).cpu().tolist()
        bad: StepRow | None = None
        for record, figures in zip(self._waiting, values, strict=True):
            named = dict(zip(METRICS, figures, strict=True))
            row = StepRow(
                step=record.step,
                epoch=record.epoch,
                lr=record.lr,
                t_data=record.t_data,
                t_batch=self._clock.seconds(record.span),
                **{name: value if math.isfinite(value) else None for name, value in named.items()},
            )
            self._rows.append(row)
            self.last = row
            if row.loss is None or row.grad_norm is None:
                bad = bad or row
            self._compare(row)
        self._waiting = []
        losses = torch.tensor([figures[0] for figures in values], dtype=torch.float64)
        self.recent_loss = losses.mean().item() if bool(losses.isfinite().all()) else None
        return bad

    def _commit(self, trained_seconds: float) -> None:
        try:
            self._store.append(self._run_id, self._rows, trained_seconds=trained_seconds)
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._say(f"{error}; {len(self._rows)} steps wait for the next try")
            return
        self._rows = []

    @property
    def all_committed(self) -> bool:
        """Whether nothing that was taken in is still waiting."""
        return not self._waiting and not self._rows

    def _compare(self, row: StepRow) -> None:
        """Hold a step that is run again against what was stored before the interruption."""
        if row.step not in self._stored:
            return
        if self._stored.pop(row.step) != row.loss and self._replay_differs is None:
            self._replay_differs = row.step
        if not self._stored:
            self._report_replay()

    def _report_replay(self) -> None:
        count = self._replay_length
        if self._replay_differs is None:
            message, level = f"replay {count} of {count} identical", "info"
        else:
            message = f"replay differs from step {self._replay_differs} on; compare the run's fingerprint events"
            level = "warning"
        self._tell("replay", message, level=level)

    def _tell(self, kind: str, message: str, *, level: str, step: int | None = None) -> None:
        """Record an event, or say it where the store can't be written: it must not stand in for what it tells of."""
        try:
            self._store.event(self._run_id, kind, message, level=level, step=step)
        except StoreError:
            self._say(message)
