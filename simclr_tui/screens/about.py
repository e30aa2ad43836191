"""Versions, paths, and how SQLite and the store are."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from simclr_tui.format import UNKNOWN, size
from simclr_tui.keys import key
from simclr_tui.words import Part
from trainer.paths import store_file
from trainer.store.guard import sqlite_health, wal_file
from trainer.versions import versions

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_NAME_WIDTH = 14
_TEXT_WIDTH, _BESIDE = 70, 10
"""The window is at most so wide without its frame, and so many cells of a narrow terminal are beside the text."""


class AboutScreen(ModalScreen[None]):
    """What this program is made of; sizes are read in a thread, since the disk may be slow."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,i", "dismiss", "close", id="about.close", tooltip="Close it"),
    ]

    def compose(self) -> ComposeResult:
        """One window."""
        with Vertical(id="dialog"), VerticalScroll(id="about"):
            yield Static(id="about-text", markup=False)

    def on_mount(self) -> None:
        """Show what is known at once, and what the disk knows when it answers."""
        self.query_one("#dialog").border_title = "about"
        self.query_one("#dialog").border_subtitle = f"{key('esc', 'about.close')} closes"
        self.run_worker(self._read, thread=True, exit_on_error=False)

    def _read(self) -> None:
        width = min(_TEXT_WIDTH, max(_NAME_WIDTH * 2, self.app.size.width - _BESIDE))
        text = about(cast("DashboardApp", self.app).runs, width)
        self.app.call_from_thread(self.query_one("#about-text", Static).update, text)


def about(runs: Path, width: int = _TEXT_WIDTH) -> Content:
    """Everything that the window says, in lines of that many cells. Reads the disk."""
    parts: list[Part] = []
    for name, words in _lines(runs):
        indent = " " * _NAME_WIDTH
        said = textwrap.fill(
            words,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        parts += [(f"{name:<{_NAME_WIDTH}}", "bold"), f"{said[_NAME_WIDTH:]}\n"]
    parts.append("\n`simclr-tui doctor` looks at all of it, and says what to do.")
    return Content.assemble(*parts)


def _lines(runs: Path) -> Iterator[tuple[str, str]]:
    for name, words in versions():
        yield name, sqlite_health().sentence.removeprefix("SQLite ") if name == "SQLite" else words
    yield "runs folder", str(runs)
    yield "store", f"{_size(store_file(runs))}, and {_size(wal_file(store_file(runs)))} not yet copied into it"


def _size(path: Path) -> str:
    try:
        return size(path.stat().st_size)
    except OSError:
        return UNKNOWN
