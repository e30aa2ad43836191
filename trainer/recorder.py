"""From steps on the device to rows in the store, about once a second and before every checkpoint.

The metrics of a step stay on the device until a flush sends for all that are waiting in one copy, and it is the next
flush that commits what the copy has brought: the loop never waits for its own figures. A flush before each checkpoint
waits, so that whatever a checkpoint has behind it is committed: a resumed run can't leave a gap.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from trainer.errors import NonFiniteError, StoreError
from trainer.exactness import Exactness
from trainer.replay_check import ReplayCheck
from trainer.ring import RING_STEPS
from trainer.store.records import StepRow
from trainer.store.runs import RunStore
from trainer.timing import DeviceClock, Span
from trainer.transfer import Transfer

FLUSH_SECONDS = 1.0
METRICS = ("loss", "acc_top1", "acc_top5", "acc_mean_pos", "grad_norm")
"""What `StepRecord.metrics` holds, in this order."""

_RETRY_SECONDS = 10.0
_PACE_STEPS = 50
"""Latest steps whose median is how long a step takes."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that was taken; its metrics may still be on their way on the device."""

    step: int
    epoch: int
    metrics: Tensor
    """float32 (5,); it may be a row of a ring, which holds until `RING_STEPS` steps more have been taken."""
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
        exactness: Exactness | None = None,
        changed: str = "",
        say: Callable[[str], None] = lambda _: None,
        explain: Callable[[StepRow, dict[str, float]], str] | None = None,
        transfer: Callable[[Sequence[Tensor]], Transfer] = Transfer,
    ) -> None:
        """Args: the store and run, the clock of the spans, the step that training goes on after, what the bits rest on
        (None promises them), which settings were changed at this resume, where to say what the store could not take,
        what is told of a step that is not finite, from its row and its figures, and what brings figures from the
        device."""
        self._store = store
        self._run_id = run_id
        self._clock = clock
        self._say = say
        self._explain = explain or _name_step
        self._bad_figures: dict[str, float] = {}
        self._transfer = transfer
        self._waiting: list[StepRecord] = []
        self._on_their_way: deque[tuple[list[StepRecord], Transfer]] = deque()
        self._rows: list[StepRow] = []
        self._flushed_at = time.monotonic()
        self._retry_at = 0.0
        self.last: StepRow | None = None
        self.recent_loss: float | None = None
        """Mean over the steps of the latest flush, None where one of them is not finite."""
        self._paces: deque[float] = deque(maxlen=_PACE_STEPS)
        self._replay = ReplayCheck(
            store.steps(run_id, after=resumed_after),
            resumed_after=resumed_after,
            doubt=lambda step: exactness.doubt(step, resumed_after=resumed_after) if exactness else "",
            changed=changed,
            tell=self._tell_replay,
        )

    def add(self, record: StepRecord) -> None:
        """Take a step in; nothing is written or waited for."""
        self._waiting.append(record)
        if 2 * len(self._waiting) >= RING_STEPS:
            self._send()

    @property
    def due(self) -> bool:
        """Whether the last flush is so long ago that the next one is due."""
        return time.monotonic() - self._flushed_at >= FLUSH_SECONDS

    def flush(self, *, trained_seconds: float, retry: bool = False) -> None:
        """Send for everything that was taken in, and commit what has come; on a CPU that is the same.

        A store that can't be written (a full disk) keeps the rows for a later flush, and says so in the log.

        Args:
            trained_seconds: of the run so far.
            retry: wait for what is still on its way, and try even if the store refused a moment ago.

        Raises:
            NonFiniteError: a loss or gradient was not finite. The steps before it and an event are committed.
        """
        self._flushed_at = time.monotonic()
        self._send()
        bad = self._receive(wait=retry)
        if self._rows and (retry or time.monotonic() >= self._retry_at):
            self._commit(trained_seconds)
        if bad is not None:
            message = self._explain(bad, self._bad_figures)
            self._tell("non-finite", message, level="error", step=bad.step)
            raise NonFiniteError(message)

    def _send(self) -> None:
        if self._waiting:
            copied = self._transfer([record.metrics for record in self._waiting])
            self._on_their_way.append((self._waiting, copied))
            self._waiting = []

    def _receive(self, *, wait: bool) -> StepRow | None:
        """Turn what has come into rows; the first one whose loss or gradient is not finite."""
        losses: list[float] = []
        bad: StepRow | None = None
        while bad is None and self._on_their_way and (wait or self._on_their_way[0][1].has_arrived):
            records, copied = self._on_their_way.popleft()
            values = copied.values()
            losses += [figures[0] for figures in values]
            bad = self._take_rows(records, values)
        if bad is not None:
            # What comes after it changed no weight (trainer.guard) and was no step.
            self._waiting, self._on_their_way = [], deque()
        if losses:
            self.recent_loss = math.fsum(losses) / len(losses) if all(map(math.isfinite, losses)) else None
        return bad

    def _take_rows(self, records: Sequence[StepRecord], values: Sequence[Sequence[float]]) -> StepRow | None:
        for record, figures in zip(records, values, strict=True):
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
            self._paces.append(row.t_data + row.t_batch)
            self._replay.compare(row)
            if row.loss is None or row.grad_norm is None:
                self._bad_figures = named
                return row
        return None

    def _commit(self, trained_seconds: float) -> None:
        try:
            self._store.append(
                self._run_id, self._rows, trained_seconds=trained_seconds, step_seconds=self.step_seconds
            )
        except StoreError as error:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._say(f"{error}; {len(self._rows)} steps wait for the next try")
            return
        self._rows = []

    @property
    def all_committed(self) -> bool:
        """Whether nothing that was taken in is still waiting."""
        return not self._waiting and not self._on_their_way and not self._rows

    @property
    def step_seconds(self) -> float | None:
        """Median wall seconds of the latest steps, waiting for data included; None before the first flush."""
        return median(self._paces) if self._paces else None

    def end_replay(self) -> None:
        """The trainer is about to end: what was compared of an unfinished replay is said."""
        self._replay.end()

    def _tell_replay(self, message: str, *, level: str, step: int | None) -> None:
        self._tell("replay", message, level=level, step=step)

    def _tell(self, kind: str, message: str, *, level: str, step: int | None = None) -> None:
        """Record an event, or say it where the store can't be written: it must not stand in for what it tells of."""
        try:
            self._store.event(self._run_id, kind, message, level=level, step=step)
        except StoreError:
            self._say(message)


def _name_step(row: StepRow, figures: dict[str, float]) -> str:
    where = f"at step {row.step} (learning rate {row.lr:.3g})"
    return f"loss {figures['loss']:.3g} with gradient norm {figures['grad_norm']:.3g} {where}; lower --learning-rate"
