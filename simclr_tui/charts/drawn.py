"""The runs that are drawn: colours, signs, and their samples, which are kept with the curves they are made of. Pure."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from simclr_tui.model import Curves, RunRow
from simclr_tui.plot.series import Sample, Series, smooth
from simclr_tui.theme import RUN_COLOURS
from trainer.store.records import Run

if TYPE_CHECKING:
    from simclr_tui.charts.clock import Clock, Origin

SIGNS = "●■▲◆★▼◉"
HOLLOW_SIGNS = "○□△◇☆▽◎"
"""Of a run's second curve in a chart."""


_LONGEST_LINEAGE = 8
"""Forks of forks of forks: so many of the runs before are drawn; rows that were edited may be each other's parents."""

FIRST_CHARTS = ("loss", "accuracy", "knn", "step-time", "device")
"""Ids of the charts that are shown as long as nobody has chosen others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How charts are looked at."""

    axis: str = "epoch"
    """One of `ids.AXES`."""
    log: bool = False
    smoothing: float = 0.015
    """Span of the moving average as a part of the range of x; 0 leaves the raw values alone."""
    window: tuple[float, float] | None = None
    """The range of x that is shown; None for all of it, which follows the newest step."""
    cursor: float | None = None
    """Where on x values are read; None where none are."""
    charts: tuple[str, ...] = FIRST_CHARTS
    """Ids of the charts that are shown, in their order."""

    @property
    def by_time(self) -> bool:
        """Whether x is in seconds."""
        return self.axis in ("wall", "trained")

    @property
    def by_epoch(self) -> bool:
        """Whether x counts epochs."""
        return self.axis == "epoch"


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a run's curves that a fork of it continues."""

    row: RunRow
    curves: Curves
    until: int
    """The last step of it."""


def trunk_of(
    run: Run, row_of: Callable[[str | None], RunRow | None], curves_of: Callable[[RunRow], Curves]
) -> tuple[Stretch, ...]:
    """The curves that a fork continues: its parent's up to the fork, that one's parent's, …; the oldest first.

    Args:
        run: the fork.
        row_of: a run by its id, None where it is not there.
        curves_of: what is known of a run.
    """
    found: list[Stretch] = []
    until, parent = run.parent_step, row_of(run.parent_run_id)
    while parent is not None and until is not None and len(found) < _LONGEST_LINEAGE:
        found.append(Stretch(parent, curves_of(parent), until))
        until, parent = parent.run.parent_step, row_of(parent.run.parent_run_id)
    return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A run whose curves are drawn."""

    row: RunRow
    curves: Curves
    trunk: tuple[Stretch, ...] = ()
    """What came before a fork, the oldest first."""

    @property
    def ink(self) -> str:
        """The run's colour, the same everywhere."""
        return f"run-{self.row.look % RUN_COLOURS}"

    @property
    def faint_ink(self) -> str:
        """The colour of its raw values."""
        return f"faint-{self.row.look % RUN_COLOURS}"

    @property
    def sign(self) -> str:
        """The run's sign, the same everywhere."""
        return run_sign(self.row)

    @property
    def hollow_sign(self) -> str:
        """The sign of its second curve."""
        return HOLLOW_SIGNS[self.row.look % len(HOLLOW_SIGNS)]

    @property
    def clock(self) -> "Clock":
        """The times of its steps; a fork's go on from those of the runs before it."""
        return _clock(self.row, self.curves, self._origin(len(self.trunk)))

    def clock_before(self, number: int) -> "Clock":
        """The same of a run before the fork."""
        stretch = self.trunk[number]
        return _clock(stretch.row, stretch.curves, self._origin(number))

    def _origin(self, number: int) -> "Origin":
        """Where the run of that number in the line of its descent began."""
        from simclr_tui.charts.clock import NO_ORIGIN, Origin  # here: most first frames need no clock

        if number == 0:
            return NO_ORIGIN
        before = self.trunk[number - 1]
        row = self.trunk[number].row if number < len(self.trunk) else self.row
        clock, per_epoch = self.clock_before(number - 1), before.row.run.steps_per_epoch or 1
        step = before.until / per_epoch * (row.run.steps_per_epoch or per_epoch)
        return Origin(step, clock.wall(before.until), clock.trained(before.until))

    def x(self, step: float, view: View) -> float:
        """Where a step lies on the axis."""
        return self.places(view)(step)

    def places(self, view: View) -> Callable[[float], float]:
        """From steps to where they lie on the axis."""
        if view.by_time:
            clock = self.clock
            # Series have the same points, and a chart has several of them.
            return self.curves.kept.get(
                "places", self.unit(view), lambda: cache(clock.wall if view.axis == "wall" else clock.trained)
            )
        unit = (self.row.run.steps_per_epoch or 1) if view.by_epoch else 1
        return lambda step: step / unit

    def x_before(self, stretch: Stretch, step: float, view: View) -> float:
        """Where a step of a run before the fork lies: epochs and times are shared, steps counted as the fork does."""
        if view.by_time:
            clock = self.clock_before(self.trunk.index(stretch))
            return clock.wall(step) if view.axis == "wall" else clock.trained(step)
        per_epoch = stretch.row.run.steps_per_epoch or 1
        return step / per_epoch * (1 if view.by_epoch else self.row.run.steps_per_epoch or per_epoch)

    def step_at(self, x: float, view: View) -> float:
        """The step that lies at a place of the axis, by halving: every axis rises with the steps."""
        place, low, high = self.places(view), 0.0, float(max(1, self.curves.last_step))
        if view.axis == "step":
            return x
        if view.by_epoch:
            return x * (self.row.run.steps_per_epoch or 1)
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if place(middle) < x else (low, middle)
        return high

    def samples_before(
        self, name: str, view: View, factor: float = 1.0, *, without: Collection[str] = ()
    ) -> Sequence[Sample]:
        """A series of the runs before the fork over x; `without` are ids of those that are drawn themselves."""
        if not self.trunk:
            return ()
        question = (*self._before(view, without), factor)
        return self.curves.kept.get(f"{name}, before", question, lambda: self._made_before(name, view, factor, without))

    def _before(self, view: View, without: Collection[str]) -> tuple[object, ...]:
        """What the runs before the fork depend on; what is kept with curves is as good as their identity."""
        known = tuple((s.curves.kept, s.until, s.row.run.id in without) for s in self.trunk)
        return (*self.unit(view), known)

    def _made_before(self, name: str, view: View, factor: float, without: Collection[str]) -> Series:
        found = [
            Sample(
                self.x_before(one, (p.first + p.last_step) / 2, view), p.low * factor, p.high * factor, p.mean * factor
            )
            for one in self.trunk
            if one.row.run.id not in without
            for p in one.curves.series(name)
            if p.last_step <= one.until
        ]
        return Series(sorted(found))  # a fork with other batches goes on at the start of an epoch that was begun before

    def samples(self, name: str, view: View, factor: float = 1.0) -> Sequence[Sample]:
        """A series over x; made once for the curves that were read."""
        return self.curves.kept.get(name, (*self.unit(view), factor), lambda: self._made(name, view, factor))

    def points(
        self,
        name: str,
        view: View,
        factor: float,
        values: "Callable[[Drawn], Sequence[tuple[float, float]]]",
    ) -> Sequence[Sample]:
        """Single values over x, which are found from what was read by steps; made once under that name."""

        def find() -> Series:
            place = self.places(view)
            return Series(Sample.at(place(step), factor * value) for step, value in values(self))

        return self.curves.kept.get(name, (*self.unit(view), factor), find)

    def unit(self, view: View) -> tuple[object, ...]:
        """What the places of a step depend on."""
        run = self.row.run
        times = (run.step, run.trained_seconds, self._origin(len(self.trunk))) if view.by_time else None
        return view.axis, run.steps_per_epoch, times

    def _made(self, name: str, view: View, factor: float) -> Series:
        points = self.curves.series(name)
        if view.by_time:
            place = self.places(view)
            return Series(
                Sample(place((p.first + p.last_step) / 2), p.low * factor, p.high * factor, p.mean * factor)
                for p in points
            )
        unit = 2 * ((self.row.run.steps_per_epoch or 1) if view.by_epoch else 1)
        return Series(
            Sample((p.first + p.last_step) / unit, p.low * factor, p.high * factor, p.mean * factor) for p in points
        )

    def smoothed(
        self, name: str, view: View, factor: float, span: float, *, without: Collection[str] = ()
    ) -> tuple[Sequence[Sample], Sequence[Sample]]:
        """The moving average of the same, before a fork with one sample more than there is, and of the run itself."""
        samples = self.samples(name, view, factor)
        before = self.samples_before(name, view, factor, without=without)

        def find() -> tuple[Series, Series]:
            found = smooth([*before, *samples], span)
            return Series(found[: len(before) + 1] if before else ()), Series(found[len(before) :])

        question = (*self._before(view, without), factor, span)
        return self.curves.kept.get(f"{name}, smooth", question, find)

    def gaps(self, name: str, view: View) -> Sequence[float]:
        """Where a step series is broken: values that were not finite and, by wall time, times without a trainer."""

        def find() -> tuple[float, ...]:
            place = self.places(view)
            points = self.curves.series(name) if name in self.curves.steps else ()
            holes = [
                place((before.last_step + after.first) / 2)
                for before, after in pairwise(points)
                if after.first > before.last_step + 1
            ]
            pauses = [(one.begin + one.end) / 2 for one in self.clock.pauses] if view.axis == "wall" else []
            return tuple(sorted(holes + pauses))

        return self.curves.kept.get(f"{name}, gaps", self.unit(view), find)


def _clock(row: RunRow, curves: Curves, origin: "Origin") -> "Clock":
    from simclr_tui.charts.clock import make_clock

    run = row.run
    question = (run.step, run.trained_seconds, origin)
    return curves.kept.get(
        "clock", question, lambda: make_clock(run, curves.epochs, curves.happened, curves.steps, origin)
    )


def run_sign(row: RunRow) -> str:
    """The sign of a run, which follows from the same number as its colour does."""
    return SIGNS[row.look % len(SIGNS)]
