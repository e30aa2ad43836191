"""The runs that are drawn: colours, signs, and their samples, which are kept with the curves they are made of. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from simclr_tui.model import Curves, RunRow
from simclr_tui.series import Sample, smooth
from simclr_tui.theme import RUN_COLOURS

SIGNS = "●■▲◆★▼◉"
HOLLOW_SIGNS = "○□△◇☆▽◎"
"""Of a run's second curve in a chart."""


AXES = ("epoch", "step")
"""What charts can have on x."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """How charts are looked at."""

    axis: str = "epoch"
    """One of AXES."""
    log: bool = False
    smoothing: float = 0.015
    """Span of the moving average as a part of the range of x; 0 leaves the raw values alone."""
    window: tuple[float, float] | None = None
    """The range of x that is shown; None for all of it, which follows the newest step."""
    cursor: float | None = None
    """Where on x values are read; None where none are."""

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
        return f"run-{self.row.place % RUN_COLOURS}"

    @property
    def faint_ink(self) -> str:
        """The colour of its raw values."""
        return f"faint-{self.row.place % RUN_COLOURS}"

    @property
    def sign(self) -> str:
        """The run's sign, the same everywhere."""
        return run_sign(self.row)

    @property
    def hollow_sign(self) -> str:
        """The sign of its second curve."""
        return HOLLOW_SIGNS[self.row.place % len(HOLLOW_SIGNS)]

    def x(self, step: float, view: View) -> float:
        """Where a step lies on the axis."""
        return step / (self.row.run.steps_per_epoch or 1) if view.by_epoch else step

    def x_before(self, stretch: Stretch, step: float, view: View) -> float:
        """Where a step of a run before the fork lies: epochs are shared, and steps counted as the fork counts them."""
        per_epoch = stretch.row.run.steps_per_epoch or 1
        return step / per_epoch * (1 if view.by_epoch else self.row.run.steps_per_epoch or per_epoch)

    def samples_before(
        self, name: str, view: View, factor: float = 1.0, *, without: Collection[str] = ()
    ) -> list[Sample]:
        """A step series of the runs before the fork over x; `without` are ids of those that are drawn themselves."""
        return [
            Sample(
                self.x_before(one, (p.first + p.last_step) / 2, view), p.low * factor, p.high * factor, p.mean * factor
            )
            for number, one in enumerate(self.trunk)
            if one.row.run.id not in without
            for p in one.curves.steps.get(name, ())
            if p.last_step <= one.until and (number == 0 or p.first > self.trunk[number - 1].until)
        ]

    def samples(self, name: str, view: View, factor: float = 1.0) -> Sequence[Sample]:
        """A step series over x; made once for the curves that were read."""
        unit = (self.row.run.steps_per_epoch or 1) if view.by_epoch else 1
        return self.curves.kept.get(
            name,
            (unit, factor),
            lambda: tuple(
                Sample((p.first + p.last_step) / 2 / unit, p.low * factor, p.high * factor, p.mean * factor)
                for p in self.curves.steps.get(name, ())
            ),
        )

    def smoothed(self, name: str, view: View, factor: float, span: float) -> Sequence[Sample]:
        """The moving average of the same."""
        samples = self.samples(name, view, factor)
        unit = self.x(1, view)
        return self.curves.kept.get(f"{name}, smooth", (unit, factor, span), lambda: smooth(samples, span))


def run_sign(row: RunRow) -> str:
    """The sign of a run, which follows from its place as its colour does."""
    return SIGNS[row.place % len(SIGNS)]
