"""A mirror at work: what the store has committed is handed to a logger until the run has ended.

Whatever the logger's package raises is told once and tried again, with everything that the logger does not have. The
store is read; only a trouble and its end are written, as events.
"""

import contextlib
import importlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from trainer.errors import ExitCode, StoreError, UnknownRunError
from trainer.mirror.about import about
from trainer.mirror.mark import Mark, mark_file, read_mark, write_mark
from trainer.mirror.names import LOGGERS
from trainer.mirror.points import Points
from trainer.mirror.sink import Sink
from trainer.process import lock_holder
from trainer.state import LIVE_STATES, run_state
from trainer.store.reader import StoreReader

POLL_SECONDS = 1.0
"""From one look at the store to the next."""

MARK_SECONDS = 10.0
"""Between two marks, each of which may sync a file."""

_RETRY_SECONDS = (2.0, 10.0, 60.0, 300.0)
"""After the first trouble, the second, …; the last for all further ones."""

_LAST_TRIES = 3
"""Troubles after the end of the run, after which the rest is left for another time."""

_CLOSE_SECONDS = 120.0
"""A logger that can't be told the end in that time has what it has."""

_LONGEST_REASON = 300


@dataclass(slots=True)
class Asked:
    """What came from outside, by a signal."""

    end: threading.Event = field(default_factory=threading.Event)
    """Set where the mirror is to end although the run may go on."""


class Mirror:
    """Hands one run to one logger."""

    def __init__(
        self,
        reader: StoreReader,
        run_id: str,
        name: str,
        *,
        tell: Callable[[str, str], None],
        asked: Asked,
        is_logged: bool,
    ) -> None:
        """Args: the store, the run, the logger, who is told a level and a sentence, what asks for the end, and whether
        what is printed goes to a log, where tracebacks help."""
        self._is_logged = is_logged
        self._reader = reader
        self._run_id = run_id
        self._name = name
        self._title = LOGGERS[name].title
        self._tell = tell
        self._asked = asked
        self._points = Points(reader, run_id)
        self._file = mark_file(reader.runs_path, run_id, name)
        self._mark = Mark()
        self._marked_at = 0.0
        self._is_settled = False
        self._troubles = 0
        self.handed_on = 0
        """Points that the logger was given."""
        self.where = ""
        """Where the run is in the logger, as a person would look for it."""

    def run(self, *, until_end: bool) -> int:
        """Bring the logger up to date, and follow the run to its end where that is asked for; the exit code."""
        last_tries = 0
        while True:
            sink = make_sink(self._name)
            try:
                self._go(sink, until_end=until_end)
            except Exception as error:  # a logger's package may raise anything
                sink.abandon()
                if isinstance(error, UnknownRunError):  # deleted for good meanwhile
                    return ExitCode.FINISHED
                ended = not until_end or self._asked.end.is_set() or not self.is_live()
                last_tries += ended
                if last_tries >= (_LAST_TRIES if until_end else 1):
                    self._trouble(error, is_last=True)
                    return ExitCode.FAILED
                self._trouble(error, is_last=False)
                self._wait(_RETRY_SECONDS[min(self._troubles, len(_RETRY_SECONDS)) - 1], is_short=ended)
            else:
                return ExitCode.FINISHED

    def is_live(self) -> bool:
        """Whether the run has a trainer that may write more."""
        with contextlib.suppress(StoreError):
            run = self._reader.run(self._run_id)
            state = run_state(run, self._reader.runs_path)
            return state in LIVE_STATES or lock_holder(self._reader.runs_path, run.id) is not None
        return lock_holder(self._reader.runs_path, self._run_id) is not None

    def _go(self, sink: Sink, *, until_end: bool) -> None:
        self._mark = read_mark(self._file)
        self._mark.reached = dict(sink.open(about(self._reader, self._run_id), self._mark))
        self.where = sink.where
        self._is_settled = False
        self._save_mark(sink)
        while True:
            # Asked for first: what was committed before the end is then among what is read.
            goes_on = until_end and not self._asked.end.is_set() and self.is_live()
            self._hand_on(sink)
            self._recovered()
            if not goes_on:
                break
            self._asked.end.wait(POLL_SECONDS)
        state = run_state(self._reader.run(self._run_id), self._reader.runs_path)
        self._save_mark(sink)
        _within(_CLOSE_SECONDS, lambda: sink.close(state), self._title)

    def _hand_on(self, sink: Sink) -> None:
        for page in self._points.new(self._mark.reached):
            fresh = page if self._is_settled else [point for point in page if not sink.has(point)]
            if fresh:
                sink.write(fresh)
                self.handed_on += len(fresh)
            self._mark.reached[page[-1].table] = page[-1].key
            if self._asked.end.is_set():
                break
            if time.monotonic() - self._marked_at >= MARK_SECONDS:
                self._save_mark(sink)
        sink.flush()
        self._is_settled = True

    def _save_mark(self, sink: Sink) -> None:
        sink.sync(self._mark)
        write_mark(self._file, self._mark)
        self._marked_at = time.monotonic()

    def _trouble(self, error: Exception, *, is_last: bool) -> None:
        if self._is_logged:
            traceback.print_exception(error)
        self._troubles += 1
        by_hand = f"`simclr-tui mirror {self._run_id} --to {self._name}` hands on the rest"
        if is_last:
            self._tell("warning", f"not all of the run is in {self._title} ({_reason(error)}); {by_hand}")
        elif self._troubles == 1:
            self._tell(
                "warning",
                f"the mirror to {self._title} stands still ({_reason(error)}); training goes on, and it is tried again "
                "until the run ends",
            )

    def _recovered(self) -> None:
        if self._troubles:
            self._troubles = 0
            self._tell("info", f"the mirror to {self._title} goes on, with everything up to here")

    def _wait(self, seconds: float, *, is_short: bool) -> None:
        deadline = time.monotonic() + (min(seconds, _RETRY_SECONDS[0]) if is_short else seconds)
        while time.monotonic() < deadline and not self._asked.end.is_set():
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
            if not is_short and not self.is_live():
                return


def make_sink(name: str) -> Sink:
    """A sink of a logger, by its name. Imports its module, which imports the logger's package once it is opened."""
    module, _, cls = LOGGERS[name].sink.partition(":")
    sink: Sink = getattr(importlib.import_module(f"trainer.mirror.{module}"), cls)()
    return sink


def _reason(error: Exception) -> str:
    text = next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _within(seconds: float, work: Callable[[], None], title: str) -> None:
    """Do something that may never come back.

    Raises:
        TimeoutError: it did not in that time; it is left behind, and ends with the process.
        Exception: whatever it raised.
    """
    raised: list[Exception] = []

    def done() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=done, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"{title} did not take the rest in {seconds:.0f} s")
    if raised:
        raise raised[0]


def leave(code: int) -> None:
    """End the process at once: a logger's package may have threads that wait for a network."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code)
