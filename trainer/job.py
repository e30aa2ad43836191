"""What every job is given: its run, the store, and the ways to be told and to tell."""

from dataclasses import dataclass
from pathlib import Path

from trainer.control import Control
from trainer.report import Reporter
from trainer.store.records import Run
from trainer.store.runs import RunStore


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed run in the hands of its trainer."""

    run: Run
    store: RunStore
    runs: Path
    control: Control
    reporter: Reporter

    def event(self, kind: str, message: str, *, level: str = "info", step: int | None = None) -> None:
        """Record something in the store and say it."""
        self.store.event(self.run.id, kind, message, level=level, step=step)
        self.reporter.note(message)

    def warn(self, kind: str, message: str) -> None:
        """Record a warning in the store and say it."""
        self.event(kind, message, level="warning")
