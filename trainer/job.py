"""What every job is given: its run, the store, and the ways to be told and to tell."""

from dataclasses import dataclass
from pathlib import Path

from trainer.control import Control
from trainer.errors import StoreError
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
        """Say something and record it in the store, if that can be written: a full disk is no reason to fail here."""
        self.reporter.note(message)
        try:
            self.store.event(self.run.id, kind, message, level=level, step=step)
        except StoreError as error:
            self.reporter.note(f"{error}, so this is only in the log")

    def warn(self, kind: str, message: str) -> None:
        """Record a warning in the store and say it."""
        self.event(kind, message, level="warning")
