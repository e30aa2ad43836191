"""What a trainer prints: Rich progress on a terminal, plain lines into a pipe or a log."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

_LINE_SECONDS = 10.0


class Reporter(Protocol):
    """Where a run says how it is doing."""

    def note(self, message: str) -> None:
        """Say one thing that happened."""

    def progress(self, stage: str, done: int, total: int, detail: str) -> None:
        """Say how far a stage is; called often."""

    def table(self, table: Table) -> None:
        """Show a result."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class _Console(Console):
    """A console that never ends the process: Rich's own answers a closed pipe with SystemExit."""

    def on_broken_pipe(self) -> None:
        """Whoever read has stopped, and the run goes on."""


class LineReporter:
    """A line now and then, for logs and pipes. A pipe that was closed is no reason to end a run."""

    def __init__(self) -> None:
        """Nothing is printed yet."""
        self._console = _Console(width=100, soft_wrap=True, highlight=False)
        self._printed_at = 0.0
        self._stage = ""

    def note(self, message: str) -> None:
        """One line with the time of day."""
        self._print(f"{time.strftime('%H:%M:%S')} {message}")

    def progress(self, stage: str, done: int, total: int, detail: str) -> None:
        """A line every ten seconds, and at a stage's beginning and end."""
        now = time.monotonic()
        if stage == self._stage and now - self._printed_at < _LINE_SECONDS and done < total:
            return
        self._stage, self._printed_at = stage, now
        self.note(f"{stage} {done:,} of {total:,} {detail}".rstrip())

    def table(self, table: Table) -> None:
        """The table in plain characters."""
        self._print(table)

    def _print(self, what: object) -> None:
        try:
            self._console.print(what, markup=False)
            sys.stdout.flush()
        except OSError:
            return

    def close(self) -> None:
        """Nothing to leave behind."""


class LiveReporter:
    """A progress bar that stays at the bottom of a terminal. A terminal that went away is no reason to end a run."""

    def __init__(self) -> None:
        """Draw the empty bar."""
        self._console = _Console(highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._bar.start()

    def note(self, message: str) -> None:
        """One line above the bar."""
        self._try(lambda: self._console.print(message, markup=False))

    def progress(self, stage: str, done: int, total: int, detail: str) -> None:
        """Move the stage's bar."""
        self._try(lambda: self._progress(stage, done, total, detail))

    def _progress(self, stage: str, done: int, total: int, detail: str) -> None:
        if stage not in self._tasks:
            for task in self._tasks.values():
                self._bar.remove_task(task)
            self._tasks = {stage: self._bar.add_task(stage, total=total, detail="")}
        self._bar.update(self._tasks[stage], completed=done, total=total, detail=detail)

    def table(self, table: Table) -> None:
        """The table above the bar."""
        self._try(lambda: self._console.print(table))

    def close(self) -> None:
        """Stop drawing."""
        self._try(self._bar.stop)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError:
            return


def make_reporter(*, headless: bool) -> Reporter:
    """A bar where there is a terminal to draw it on, else lines."""
    return LiveReporter() if headless and sys.stdout.isatty() else LineReporter()


def duration(seconds: float) -> str:
    """Seconds in the two largest units: `2 d 3 h`, `4 h 5 min`, `6 min 7 s`, `8 s`."""
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    left = round(seconds)
    parts: list[str] = []
    for name, size in units:
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
    return " ".join(parts[:2])
