"""Textual's driver for terminals of Unix, which also tells whether the terminal keeps up with what is written to it."""

import os
import threading
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from simclr_tui.terminal.question import AnswerFilter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.message import Message


class Outgoing:
    """The file that the writer's thread writes to, and whether it is at it."""

    def __init__(self, file: IO[str]) -> None:
        """Args: the terminal."""
        self._file = file
        self._is_free = threading.Event()
        self._is_free.set()

    @property
    def is_busy(self) -> bool:
        """Whether the terminal has not taken yet what was written last."""
        return not self._is_free.is_set()

    def write(self, text: str) -> None:
        """Write; what nobody reads any more is dropped."""
        self._is_free.clear()
        try:
            self._file.write(text)
        except OSError:  # the terminal is gone, and SIGHUP ends the program
            self._is_free.set()

    def flush(self) -> None:
        """See that it has left."""
        try:
            self._file.flush()
        except OSError:
            pass
        finally:
            self._is_free.set()

    def fileno(self) -> int:
        """The terminal's descriptor."""
        return self._file.fileno()


class PatientDriver(LinuxDriver):
    """Knows what waits to be written, and types no answer of the terminal that came late."""

    answers_are_awaited = False
    """The terminal was asked something and has not answered yet."""

    came_before = ""
    """What the terminal sent before the driver began to read: answers, and what a person typed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Args: those of Textual's driver."""
        super().__init__(*arguments, **options)
        self._outgoing = Outgoing(self._file)  # type: ignore[arg-type]
        self._file = self._outgoing  # type: ignore[assignment]
        self._filter = AnswerFilter()
        # The terminal was no raw one yet, so that enter came as the end of a line.
        typed = self._filter.keep(self.came_before).replace("\n", "\r")
        if self.answers_are_awaited or typed:
            # The driver makes its parser by this name and offers no other way to stand before it.
            parser = partial(_FilteringParser, self._filter, [typed] if typed else [])
            linux_driver.XTermParser = parser  # type: ignore[attr-defined, assignment]

    def _get_terminal_size(self) -> tuple[int, int]:
        """What the terminal says of itself; $COLUMNS and $LINES, which a shell once exported, only where it does not.

        Textual believes the variables first, and then no change of the window is seen.
        """
        with suppress(OSError):
            size = os.get_terminal_size(self.fileno)
            if size.columns and size.lines:
                return size.columns, size.lines
        return super()._get_terminal_size()

    @property
    def answers(self) -> str:
        """What the terminal has said of itself so far."""
        return self._filter.answers

    @property
    def is_behind(self) -> bool:
        """Whether what was written before has not left yet, so that another picture would only wait."""
        waiting = self._writer_thread._queue.qsize() if self._writer_thread is not None else 0
        return waiting > 0 or self._outgoing.is_busy


class _FilteringParser(XTermParser):
    """A parser that leaves the answers to our questions out, and begins with what was typed before it."""

    def __init__(self, answers: AnswerFilter, typed: list[str], debug: bool = False) -> None:
        """Args: the filter, what was typed before, which is taken out of its list, and Textual's own."""
        super().__init__(debug)
        self._filter, self._typed = answers, typed

    def feed(self, data: str) -> "Iterable[Message]":
        """Messages of what a person did. Nothing at all means the end, so that it is handed on as it is."""
        kept = "".join((*self._taken(), self._filter.keep(data)))
        return super().feed(kept) if kept or not data else ()

    def tick(self) -> "Iterable[Message]":
        """Messages of what is due by now, at first those of what was typed before."""
        for typed in self._taken():
            yield from super().feed(typed)
        yield from super().tick()

    def _taken(self) -> list[str]:
        typed = self._typed.copy()
        self._typed.clear()
        return typed
