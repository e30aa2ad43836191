"""What the dashboard does for a person beside showing runs: their theme and keys, notices, the title, the clipboard."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import constants
from textual.app import App
from textual.binding import Binding, BindingType

from simclr_tui.comfort.keymap import checked
from simclr_tui.comfort.user_settings import AUTO, UserSettings
from simclr_tui.keys import key
from simclr_tui.remembered import Remembered
from simclr_tui.terminal import sequences
from simclr_tui.terminal.display import ThriftyDisplay
from simclr_tui.terminal.key_order import KeysInOrder
from simclr_tui.theme import grounds, run_variables
from simclr_tui.themes import OWN, fitting

if TYPE_CHECKING:
    from simclr_tui.messages import Polled
    from simclr_tui.model import RunRow
    from simclr_tui.terminal.graphics import Graphics

_THEME = "theme"
_NOTICES = "notices"
_GOODBYE_SECONDS = 3.0
"""How long the end may take once the terminal is gone."""


class ComfortApp(KeysInOrder, ThriftyDisplay):
    """The app's part that a person's settings speak of."""

    COMFORT_KEYS: ClassVar[list[BindingType]] = [
        Binding("ctrl+t", "theme", "theme", show=False, id="app.theme", tooltip="Choose the colours, seen at once"),
        Binding("N", "notices", "notices", show=False, id="app.notices", tooltip="Bell and desktop notices on or off"),
    ]

    runs: Path
    remembered: Remembered

    def __init__(self, settings: UserSettings | None, *, is_dark: bool | None, **options: Any) -> None:
        """Args: the person's settings, whether the terminal is dark as far as is known, and Textual's own options."""
        super().__init__(**options)
        self.settings = settings or UserSettings()
        """What the settings file says."""
        self.keymap: Mapping[str, str] = checked(self.settings.keys)
        """Keys that the person changed, by the ids of their bindings."""
        self._is_dark = is_dark
        self._rows_before: Sequence[RunRow] | None = None
        self._title = ""

    @property
    def in_tmux(self) -> bool:
        """Whether tmux stands between this and the terminal."""
        return bool(os.environ.get("TMUX")) and not self.is_web

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The colours of runs and the grounds of lines, for themes that don't name them."""
        theme = self.current_theme
        return {**run_variables(dark=theme.dark), **grounds(theme)}

    def begin_theme(self) -> None:
        """Take the person's theme before anything is styled: a later change reads and applies every style once more."""
        for theme in OWN:
            self.register_theme(theme)
        if constants.DEFAULT_THEME == "textual-dark":  # nobody chose another one by $TEXTUAL_THEME
            self.set_reactive(App.theme, self._first_theme())
            is_dark = self.current_theme.dark
            for name, wanted in (("-dark-mode", is_dark), ("-light-mode", not is_dark), (f"-theme-{self.theme}", True)):
                self.set_class(wanted, name, update=False)
            self.stylesheet.set_variables(self.get_css_variables())
            self._refresh_truecolor_filter(self.ansi_theme)

    def begin_comfort(self) -> None:
        """Take the person's keys, and keep the terminal's title for the end."""
        if self.no_color:
            from simclr_tui.terminal.colourless import Colourless

            self._filters = [Colourless()]
        if self.keymap:
            self.set_keymap(self.keymap)
        if self.settings.notices.title and not self.is_web:
            self.tell_terminal(sequences.PUSH_TITLE)
            self._show_title(())
        self._end_politely()

    def end_comfort(self) -> None:
        """Give the terminal its title back, and the memory that pictures took."""
        if self.gallery is not None:
            self.tell_terminal(self.gallery.end())
        if self._title:
            self.tell_terminal(sequences.POP_TITLE)

    def terminal_graphics(self) -> "Graphics":
        """How the terminal draws pictures, by what it has said so far. May ask tmux, which takes some milliseconds."""
        from simclr_tui.terminal.graphics import BLOCKS, Graphics, graphics, window_cell

        if self._driver is None or self.is_headless or self.is_web:
            return Graphics(BLOCKS)
        window = window_cell(getattr(self._driver, "fileno", -1))
        answers = getattr(self._driver, "answers", "")
        return graphics(answers, os.environ, wanted=self.settings.graphics, window=window)

    def tell_terminal(self, sequence: str) -> None:
        """Write a control sequence beside the pictures; a test's terminal that does not exist gets nothing."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)

    def copy_to_clipboard(self, text: str) -> None:
        """Give a text to the terminal's clipboard, through tmux too."""
        self._clipboard = text
        self.tell_terminal(sequences.copy(text, in_tmux=self.in_tmux))

    def _first_theme(self) -> str:
        """What the file says, else what was chosen last here, else what goes with the terminal."""
        wanted = self.settings.theme if self.settings.theme != AUTO else self.remembered.get(_THEME, AUTO)
        if wanted != AUTO and wanted in self.available_themes:
            return str(wanted)
        return fitting(dark=self._is_dark, few_colours=self._has_few_colours)

    @property
    def _has_few_colours(self) -> bool:
        """Whether the terminal has 16 colours at most; where there is none, as in a test, there are all."""
        is_there = sys.__stdout__ is not None and sys.__stdout__.isatty()
        return is_there and self.console.color_system in ("standard", None)

    def take_theme(self, chosen: list[str] | None) -> None:
        """Keep what was chosen for the next time."""
        if not chosen:
            return
        name = chosen[0]
        self.theme = fitting(dark=self._is_dark, few_colours=self._has_few_colours) if name == AUTO else name
        self.remembered.put(_THEME, name)
        if self.settings.theme != AUTO:
            self.notify(f"the settings file says {self.settings.theme}, which is back at the next start")

    @property
    def notices_are_on(self) -> bool:
        """Whether a person wants to be told."""
        return bool(self.remembered.get(_NOTICES, True))

    def action_notices(self) -> None:
        """Switch notices on or off, also for the next time."""
        is_on = not self.notices_are_on
        self.remembered.put(_NOTICES, is_on)
        ways = [way for way in ("bell", "desktop") if getattr(self.settings.notices, way)]
        said = f"notices are on: {' and '.join(ways) or 'toasts'} when a run ends, pauses or is unwell"
        self.notify(said if is_on else f"notices are off; {key('N', 'app.notices')} switches them on")

    def take_notice(self, polled: "Polled", asked: set[str]) -> None:
        """Tell what has happened since the poll before, and what is going on in the title."""
        if polled.rows is None:
            return
        from simclr_tui.comfort import notices

        before, self._rows_before = self._rows_before, polled.rows
        settings = self.settings.notices
        if settings.title and not self.is_web:
            self._show_title(polled.rows)
        if before is None or not self.notices_are_on:
            return
        every = notices.notices(before, polled.rows, asked=asked, events=polled.events)
        found = [notice for notice in every if notice.kind in settings.on]
        for notice in found:
            self.notify(notice.sentence, severity=notice.severity, timeout=10)
        if not found or self.is_web:  # a page has neither a bell nor notices of this kind
            return
        if settings.bell:
            self.bell()
        if settings.desktop:
            sentence = notices.told(found)
            self.tell_terminal(sequences.desktop_notice("simclr-tui", sentence, in_tmux=self.in_tmux))

    def _show_title(self, rows: "Sequence[RunRow]") -> None:
        from simclr_tui.comfort.notices import title

        words = title(rows)
        if words != self._title:
            self._title = words
            self.tell_terminal(sequences.title(words))

    def _end_politely(self) -> None:
        """End as `q` does when the terminal goes away or somebody ends the process; runs are nobody's children."""
        if self.is_headless or sys.platform == "win32":
            return
        import asyncio

        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, partial(self._go, 128 + number))

    def _go(self, code: int) -> None:
        # A terminal that takes nothing any more would hold up the last words for good.
        _after(_GOODBYE_SECONDS, lambda: os._exit(code))
        self.exit(return_code=code)


def _after(seconds: float, do: Callable[[], object]) -> None:
    """Do something later unless the process has ended by then."""
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()
