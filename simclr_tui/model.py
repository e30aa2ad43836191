"""What the dashboard knows, as frozen records: rows of the run table and what is drawn of a run. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simclr_tui.embedding import EmbeddingMap
from simclr_tui.findings import Findings
from trainer.state import LIVE_STATES
from trainer.store.records import Artifact, Checkpoint, Evaluation, Event, Run
from trainer.store.series import Point

_RATE_EPOCHS = 5


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with its derived state and its place among all runs by age, from which its colour and sign follow."""

    run: Run
    state: str
    place: int

    @property
    def is_live(self) -> bool:
        """Whether a trainer works on it."""
        return self.state in LIVE_STATES

    @property
    def progress(self) -> float | None:
        """The part of its steps that is done, from 0 to 1."""
        return self.run.step / self.run.total_steps if self.run.step is not None and self.run.total_steps else None

    @property
    def total_epochs(self) -> int | None:
        """Epochs that the run is made of."""
        total, per_epoch = self.run.total_steps, self.run.steps_per_epoch
        return round(total / per_epoch) if total and per_epoch else None

    def matches(self, text: str) -> bool:
        """Whether every word of a filter is in the run's name, id, state, kind or preset."""
        haystack = f"{self.run.name} {self.run.id} {self.state} {self.run.kind} {self.run.preset or ''}".lower()
        return all(word in haystack for word in text.lower().split())


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Everything that is drawn of one run."""

    run_id: str
    steps: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
    device: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Event] = ()
    evaluations: Sequence[Evaluation] = ()
    checkpoints: Sequence[Checkpoint] = ()
    """The newest first."""
    metrics: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """Health series by name: steps with their values."""
    is_read: bool = True
    """False as long as nothing was read of the run."""

    def latest_metric(self, name: str) -> float | None:
        """The last value of a health series."""
        series = self.metrics.get(name)
        return series[-1][1] if series else None

    @property
    def resumed_after(self) -> list[int]:
        """The steps after which the run was resumed."""
        return [event.step for event in self.events if event.kind == "resumed-from" and event.step is not None]

    def seconds_left(self, run: Run) -> float | None:
        """Seconds of work that are left, from the latest epochs; None before the first has ended."""
        times: list[float] = [row["t_epoch"] for row in self.epochs if row["t_epoch"] is not None][-_RATE_EPOCHS:]
        if not times or run.step is None or not run.total_steps or not run.steps_per_epoch:
            return None
        return (run.total_steps - run.step) / run.steps_per_epoch * sum(times) / len(times)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a supervised run on the same images scores with its own classifier."""

    name: str
    top1: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """What was found out about a run's representation."""

    run_id: str
    findings: Findings = field(default_factory=Findings)
    artifacts: Sequence[Artifact] = ()
    """The newest first."""
    embedding: EmbeddingMap | None = None
    problem: str = ""
    """Why the map that there is can't be shown, in a sentence."""
    baselines: Sequence[Baseline] = ()
    is_read: bool = True
    """False as long as nothing was read."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the screen shows, so that the feed reads no more than that."""

    run_ids: tuple[str, ...] = ()
    columns: int = 160
    """Dot columns of the widest chart."""
    learning_id: str | None = None
    """The run whose representation is looked at."""


def table_order(rows: Sequence[RunRow]) -> list[RunRow]:
    """Live runs first, then the rest, each with the newest first."""
    return sorted(rows, key=lambda row: (not row.is_live, -row.place))


def setting(row: RunRow, name: str, default: Any) -> Any:
    """One setting of a run."""
    return json.loads(row.run.config).get(name, default)
