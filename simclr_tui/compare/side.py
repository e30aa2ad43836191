"""One run of a comparison: what was read of it, and whether its figures can be set against those of others. Pure."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simclr_tui.charts.drawn import Drawn, Stretch
from simclr_tui.findings import Findings
from simclr_tui.model import RunRow
from trainer.store.records import COMPARED_KINDS, Run
from trainer.store.totals import Totals
from trainer.stored_settings import settings_of

MOST_RUNS = 12
"""Columns that a person can still follow."""

Score = tuple[int, float]
"""An epoch with a figure of it."""

_RATE_EPOCHS = 5
"""So many of the newest epochs count for how fast a run is."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A run with everything that a comparison is made of."""

    drawn: Drawn
    totals: Totals = field(default_factory=Totals)

    @property
    def row(self) -> RunRow:
        """The run with its state."""
        return self.drawn.row

    @property
    def run(self) -> Run:
        """Its row of the store."""
        return self.drawn.row.run

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """Its whole config."""
        return settings_of(self.run)

    @cached_property
    def epochs(self) -> Mapping[int, Mapping[str, Any]]:
        """Its closed epochs by number, in their order; of a fork those before it too, which are its parent's."""
        found: dict[int, Mapping[str, Any]] = {}
        for stretch in self.drawn.trunk:
            found |= {row["epoch"]: row for row in _before(stretch)}
        return found | {row["epoch"]: row for row in self.drawn.curves.epochs}

    @property
    def last_epoch(self) -> int:
        """The last epoch that it has closed; 0 before the first."""
        return max(self.epochs, default=0)

    def scores(self, name: str) -> Sequence[Score]:
        """A column of its epochs, as far as it is known; kept with the curves, since few runs grow at a time."""

        def find() -> Sequence[Score]:
            return [(epoch, row[name]) for epoch, row in self.epochs.items() if row.get(name) is not None]

        before = tuple((stretch.curves.kept, stretch.until) for stretch in self.drawn.trunk)
        return self.drawn.curves.kept.get(f"{name}, by epoch", before, find)

    @cached_property
    def findings(self) -> Findings:
        """What its evaluations found."""
        curves = self.drawn.curves
        return curves.kept.get("findings", (), lambda: Findings.of(curves.evaluations))

    @property
    def epoch_images(self) -> int | None:
        """Images of an epoch."""
        run = self.run
        return run.steps_per_epoch * run.batch_size if run.steps_per_epoch and run.batch_size else None

    def recent(self, name: str) -> list[float]:
        """A column of its own newest epochs, as far as it is known."""
        rows = self.drawn.curves.epochs[-_RATE_EPOCHS:]
        return [row[name] for row in rows if row.get(name) is not None]

    def epoch_of(self, step: int) -> float:
        """Where a step lies in epochs, to a hundredth."""
        return round(step / (self.run.steps_per_epoch or 1), 2)


def _before(stretch: Stretch) -> list[Mapping[str, Any]]:
    """The epochs of a run that a fork of it continues: those whose last step came before the fork."""
    per_epoch = stretch.row.run.steps_per_epoch or 1
    return [row for row in stretch.curves.epochs if row["epoch"] * per_epoch <= stretch.until]


def differing(sides: Sequence[Side], names: Sequence[str]) -> list[str]:
    """Which of some settings the runs do not have in common, as options are written."""
    return [
        name.replace("_", "-")
        for name in names
        if any(a.settings.get(name) != b.settings.get(name) for a, b in itertools.pairwise(sides))
    ]


def time_note(sides: Sequence[Side]) -> str:
    """What has to be known about times, if anything."""
    devices = {side.run.device for side in sides if side.run.device}
    return "on other devices, which times say as much of as of the settings" if len(devices) > 1 else ""


def refusal(runs: Sequence[Run]) -> str:
    """Why these runs can't be compared, with what can be done instead; empty where they can."""
    for run in runs:
        if run.kind == "benchmark":
            return f"{run.name} is a benchmark, whose trials have a table of their own; `simclr-tui benchmark` shows it"
        if run.kind not in COMPARED_KINDS:
            return f"{run.name} is of kind {run.kind}, which trains nothing; name the run that it looks at"
    ids = [run.id for run in runs]
    twice = next((run for run in runs if ids.count(run.id) > 1), None)
    if twice is not None:
        return f"{twice.name} ({twice.id}) is named twice, and a run differs from itself in nothing; name another one"
    if len(runs) < 2:
        named = f"{runs[0].name} is one run, and a comparison needs two" if runs else "a comparison needs two runs"
        return f"{named}; name another one"
    if len(runs) > MOST_RUNS:
        return f"{len(runs)} runs are more than a table can hold; name {MOST_RUNS} at most"
    return ""
