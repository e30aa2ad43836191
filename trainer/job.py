"""What every job is given: its run, the store, and the ways to be told and to tell."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainer.control import Control
from trainer.errors import StoreError
from trainer.ranks import ALONE, Ranks
from trainer.report import Reporter
from trainer.store.records import Run
from trainer.store.runs import RunStore

if TYPE_CHECKING:
    from trainer.group import Line

INSIST_SECONDS = 5.0
"""From one try to write what must not be left out to the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed run in the hands of its trainer."""

    run: Run
    store: RunStore
    runs: Path
    control: Control
    reporter: Reporter
    line: "Line | None" = None
    """To the other ranks, where several train the run."""

    @property
    def ranks(self) -> Ranks:
        """Who this process is among those that train the run."""
        return ALONE if self.line is None else self.line.ranks

    def event(self, kind: str, message: str, *, level: str = "info", step: int | None = None) -> None:
        """Say something and record it in the store, if that can be written: a full disk is no reason to fail here."""
        self.reporter.note(message)
        try:
            self.store.event(self.run.id, kind, message, level=level, step=step)
        except StoreError as error:
            self.reporter.note(f"{error}, so this is only in the log")

    def insist(self, write: Callable[[], None], say: Callable[[Exception], str]) -> None:
        """Write what must not be left out. On a full disk wait for space, since going on would lose it.

        Args:
            write: tries to.
            say: what is noted where it could not be done, and why.

        Raises:
            EndRequested: a signal came while waiting.
        """
        while True:
            try:
                write()
            except (OSError, StoreError) as error:
                self.reporter.note(say(error))
                with self.control.phase("waiting"):
                    self.control.wait(INSIST_SECONDS)
            else:
                return

    def warn(self, kind: str, message: str) -> None:
        """Record a warning in the store and say it."""
        self.event(kind, message, level="warning")
