"""Textual's driver for a dashboard in a browser, which tells whether the page keeps up and ends with its server."""

import os
import threading
from queue import SimpleQueue
from typing import Any

from textual import messages
from textual.drivers.web_driver import WebDriver

_LAST_WORDS_SECONDS = 3.0
_OF_THE_PAGE = ("TEXTUAL_DRIVER", "TEXTUAL_COLOR_SYSTEM", "COLUMNS", "ROWS")
"""Variables by which the server speaks of the page; trainers that are started from here are in none."""


class PagePipe:
    """The pipe to the server, written to by a thread of its own: one that is full must hold up nobody's keys."""

    def __init__(self, descriptor: int) -> None:
        """Args: where to write."""
        self._descriptor = descriptor
        self._pieces: SimpleQueue[bytes | None] = SimpleQueue()
        self._put = 0
        self._written = 0
        self._thread = threading.Thread(target=self._run, name="page-output", daemon=True)
        self._thread.start()

    @property
    def is_behind(self) -> bool:
        """Whether something has not left yet."""
        return self._written < self._put

    def put(self, piece: bytes) -> None:
        """Write a piece, all of it and behind those before."""
        self._put += 1
        self._pieces.put(piece)

    def close(self) -> None:
        """Write what is left, unless nobody takes it."""
        self._pieces.put(None)
        self._thread.join(_LAST_WORDS_SECONDS)

    def _run(self) -> None:
        is_there = True
        while (piece := self._pieces.get()) is not None:
            try:
                while is_there and piece:
                    piece = piece[os.write(self._descriptor, piece) :]
            except OSError:  # the server is gone; the end of the input says so too
                is_there = False
            self._written += 1


class BrowserDriver(WebDriver):
    """Knows what waits to be written, and closes the dashboard when its server is gone."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Args: those of Textual's driver."""
        super().__init__(*arguments, **options)
        for name in _OF_THE_PAGE:
            os.environ.pop(name, None)
        self._pipe = PagePipe(self.fileno)
        # All that Textual's driver writes goes through this one.
        self._write = self._pipe.put  # type: ignore[assignment]

    @property
    def is_behind(self) -> bool:
        """Whether what was written before has not left yet, so that another picture would only wait."""
        return self._pipe.is_behind

    def run_input_thread(self) -> None:
        """Take what comes; its end, which nobody asked for, is that of the server."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(messages.ExitApp())

    def stop_application_mode(self) -> None:
        """Say that it is over, as the last thing that is said."""
        super().stop_application_mode()
        self._pipe.close()
