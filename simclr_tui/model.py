"""What the dashboard knows, as frozen records: rows of the run table and what is drawn of a run. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from simclr_tui.embedding import EmbeddingMap
from simclr_tui.findings import Findings
from trainer.state import LIVE_STATES
from trainer.store.figures import NO_FIGURES, Figures
from trainer.store.records import AnatomyRow, Artifact, Checkpoint, Evaluation, Event, Labels, Run
from trainer.store.series import METRIC, Point
from trainer.stored_settings import settings_of

T = TypeVar("T")

_RATE_EPOCHS = 5

NO_LABELS = Labels()


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run that waits stands in the line of a device."""

    device: str
    """What people call it."""
    place: int
    """From 1."""
    is_held: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with its derived state and its place among all runs by age."""

    run: Run
    state: str
    place: int
    turn: Turn | None = None
    """Where it stands in a line, if it waits for a device."""
    is_stopped: bool = False
    """Whether its process was stopped (SIGSTOP), so that it can't get on."""
    labels: Labels = NO_LABELS
    """What people wrote on it."""
    figures: Figures = NO_FIGURES
    """What is told of it in columns beyond its own row."""
    number: int | None = None
    """As which of all runs it was made, those that are gone counted too; None where nothing is drawn of it."""

    @property
    def look(self) -> int:
        """What its colour and its sign follow from, which stay its own whatever becomes of other runs."""
        return self.place if self.number is None else self.number

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


class Kept:
    """Answers that are kept as long as the question is the same: what is drawn of a run that nothing is new of."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        """Nothing is kept yet."""
        self._answers: dict[str, tuple[object, Any]] = {}

    def get(self, name: str, question: object, answer: Callable[[], T]) -> T:
        """The answer to the last question of that name if it was this one, else a fresh one."""
        known = self._answers.get(name)
        if known is None or known[0] != question:
            known = self._answers[name] = (question, answer())
        found: T = known[1]
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """Everything that is drawn of one run."""

    run_id: str
    steps: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
    anatomy: Sequence[AnatomyRow] = ()
    """The parts of the newest epochs."""
    device: Sequence[Mapping[str, Any]] = ()
    ranks: Sequence[Mapping[str, Any]] = ()
    """What each rank did in the last two minutes, where several processes train the run."""
    events: Sequence[Event] = ()
    evaluations: Sequence[Evaluation] = ()
    checkpoints: Sequence[Checkpoint] = ()
    """The newest first."""
    checkpoint_failure: Event | None = None
    """That of a checkpoint that could not be written, as long as none has been written since."""
    metrics: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    """Health series by name: steps with their values."""
    detail: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    """Step series in the window that is looked at, finer than they are as a whole."""
    metric_points: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    """The same series as `metrics`, with what a stretch that stands for several values had as extremes."""
    metric_names: Sequence[str] = ()
    """Every series of `metrics` that there is, also those that were not read."""
    history: Sequence[Event] = ()
    """What happened from the beginning on, without what is mere information."""
    device_history: Sequence[Mapping[str, Any]] = ()
    """The device over the whole run in stretches (trainer.store.history), where that is shown."""
    is_read: bool = True
    """False as long as nothing was read of the run."""
    kept: Kept = field(default_factory=Kept, init=False, compare=False, repr=False)
    """What was worked out from these curves."""

    def latest_metric(self, name: str) -> float | None:
        """The last value of a health series."""
        series = self.metrics.get(name)
        return series[-1][1] if series else None

    @property
    def happened(self) -> list[Event]:
        """What is known of what happened, oldest first."""
        found = {event.id: event for event in (*self.history, *self.events)}
        return [found[number] for number in sorted(found)]

    @property
    def last_step(self) -> int:
        """The last step of which anything was read."""
        return max((points[-1].last_step for points in self.steps.values() if points), default=0)

    def series(self, name: str) -> Sequence[Point]:
        """A step series with its detail, or one of `metrics`, whose name has METRIC before it."""
        if name.startswith(METRIC):
            return self.metric_points.get(name.removeprefix(METRIC), ())
        whole, fine = self.steps.get(name, ()), self.detail.get(name, ())
        if not fine:
            return whole
        first, last = fine[0].first, fine[-1].last_step
        return (*(p for p in whole if p.last_step < first), *fine, *(p for p in whole if p.first > last))

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
    benchmark_id: str | None = None
    """The benchmark that is looked at."""
    charts: tuple[str, ...] = ()
    """Ids of the charts that are shown."""
    windows: tuple[tuple[str, int, int], ...] = ()
    """The steps of runs between which their charts are looked at; those that are not named are shown whole."""
    opened: tuple[str, str] | None = None
    """The run whose own screen is open, and which of its tabs."""
    compared_ids: tuple[str, ...] = ()
    """The runs that are compared, of which the totals are read too."""


def table_order(rows: Sequence[RunRow]) -> list[RunRow]:
    """Pinned runs first, then live ones, then the rest, each with the newest first; a fork stands below its parent.

    Parent and forks keep together: they stand where the first of them would.
    """
    by_id = {row.run.id: row for row in rows}
    children: dict[str | None, list[RunRow]] = {}
    ranked = sorted(rows, key=_rank)
    for row in ranked:
        parent = row.run.parent_run_id
        children.setdefault(parent if parent in by_id else None, []).append(row)
    if len(children.get(None, ())) == len(ranked):
        return ranked  # no forks
    families = [_family(root, children) for root in children.get(None, ())]
    ordered = [row for family in sorted(families, key=lambda family: min(map(_rank, family))) for row in family]
    placed = {row.run.id for row in ordered}
    # Runs whose rows were edited to be each other's parents are shown all the same.
    return ordered + [row for row in ranked if row.run.id not in placed]


def _rank(row: RunRow) -> tuple[bool, bool, int]:
    return not row.labels.is_pinned, not row.is_live, -row.place


def _family(root: RunRow, children: Mapping[str | None, Sequence[RunRow]]) -> list[RunRow]:
    """A run and its forks, each before its own."""
    found, waiting = [], [root]
    while waiting:
        row = waiting.pop()
        found.append(row)
        waiting += reversed(children.get(row.run.id, ()))
    return found


def depths(rows: Sequence[RunRow]) -> list[int]:
    """How many of the runs above each are those that it descends from."""
    found: dict[str, int] = {}
    for row in rows:
        parent = row.run.parent_run_id
        found[row.run.id] = found[parent] + 1 if parent in found else 0
    return list(found.values())


def setting(row: RunRow, name: str, default: Any) -> Any:
    """One setting of a run."""
    return settings_of(row.run).get(name, default)
