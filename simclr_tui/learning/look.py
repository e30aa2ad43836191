"""What a section is given, and the small pieces that sections are made of. Pure."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textual.content import Content

from simclr_tui.embedding import EmbeddingMap
from simclr_tui.findings import Study
from simclr_tui.format import count
from simclr_tui.keys import key
from simclr_tui.model import Curves, Learning, RunRow, setting
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.paths import runs_dir
from trainer.state import LIVE_STATES
from trainer.stored_settings import settings_of

BEST = "bold $success"
"""Style of the best figure, beside its sign."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A run, what was found out about it, and which of its checkpoints is looked at."""

    row: RunRow
    curves: Curves
    learning: Learning
    runs: Path
    """The runs folder."""
    step: int | None = None
    """Only what was found at this step; None takes the latest of everything."""
    jobs: Mapping[str, RunRow] = field(default_factory=dict)
    """The evaluations of this run that are going on, by their way."""

    def study(self, way: str, dataset: str = "") -> Study | None:
        """What one way of evaluation found."""
        return self.learning.findings.study(way, dataset, self.step)

    @property
    def embedding(self) -> EmbeddingMap | None:
        """The map, unless it is of another step than the one that is looked at."""
        drawn = self.learning.embedding
        return drawn if drawn is not None and self.step in (None, drawn.step) else None

    def status(self, way: str, otherwise: str) -> Content:
        """Why one way of evaluation has found nothing yet, in a few words."""
        job = self.jobs.get(way)
        if not self.learning.is_read:
            return Content.styled("reading the store", MUTED)
        return Content.styled(f"{job.run.name} is {job.state}" if job is not None else otherwise, MUTED)

    def transfers(self, way: str) -> list[Study]:
        """What it found on other data sets."""
        found = (self.study(way, dataset) for dataset in self.learning.findings.transfers)
        return [study for study in found if study is not None]

    def command(self, way: str) -> str:
        """The command line that evaluates the run in one way."""
        return f"simclr-tui evaluate {self.row.run.id} --what {way}{self._runs_option}"

    @property
    def preview_command(self) -> str:
        """The command line that shows the run's augmentation."""
        return f"simclr-tui preview --run {self.row.run.id}{self._runs_option}"

    @property
    def _runs_option(self) -> str:
        return "" if self.runs == runs_dir() else f" --runs-dir {shlex.quote(str(self.runs))}"

    def missing(self, way: str, what: str) -> list[Part]:
        """Why there is nothing to show, with the key and the command that make it."""
        job = self.jobs.get(way)
        if not self.learning.is_read:
            return ["reading the store"]
        if job is not None:
            return [f"no {what} yet; {job.run.name} is {job.state} and makes it\n"]
        at_step = f" at step {count(self.step)}" if self.step is not None else ""
        return [f"no {what}{at_step} yet; {key('e', 'learning.evaluate')} makes it, or\n", (self.command(way), "bold")]

    def going_on(self, way: str) -> list[Part]:
        """That more is to come, where some of it is there already."""
        job = self.jobs.get(way)
        return [(f"{job.run.name} is {job.state}; more comes as it is made\n", "$primary")] if job is not None else []

    def heading(self, study: Study, what: str) -> list[Part]:
        """What a table is of: data set, checkpoint and images."""
        dataset = study.dataset or str(setting(self.row, "dataset", ""))
        kind = "drawn test images" if dataset == "shapes" else "test images"
        images = f" · {count(study.images)} {kind}" if study.images else ""
        return [(what, "bold"), (f"  step {count(study.step)}{images}\n", MUTED)]


def evaluations_going_on(rows: Sequence[RunRow], run_id: str) -> dict[str, RunRow]:
    """The evaluations of a run that have been made and have not ended, by their way."""
    return {
        str(settings_of(row.run).get("what", "layers")): row
        for row in rows
        if row.run.kind == "evaluate"
        and row.run.source_run_id == run_id
        and (row.state in LIVE_STATES or row.state == "queued")
    }


def table_row(cells: Sequence[str], widths: Sequence[int], styles: Sequence[str]) -> list[Part]:
    """A line of a table: the first cell at the left, the others at the right of their columns."""
    parts: list[Part] = []
    for number, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
        text = cell.ljust(width) if number == 0 else cell.rjust(width)
        parts.append((text, style) if style else text)
    return [*parts, "\n"]
