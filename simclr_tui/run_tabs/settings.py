"""Every setting of a run, the differences first, with the help of the one under the cursor."""

import time
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, Static

from simclr_tui.run.settings_list import SettingLine, chosen, setting_lines
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.run_tabs.search import SearchLine
from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.theme import MUTED

_NAME, _VALUE = 28, 20


class SettingsTab(RunTab):
    """A list with a cursor, narrowed by words."""

    OWN_KEYS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", id="settings.search", tooltip="Only settings that match some words"),
        Binding("escape", "cancel", "show all", show=False, id="settings.cancel", tooltip="Every setting again"),
    ]
    BINDINGS = OWN_KEYS

    _lines: Sequence[SettingLine] = ()
    _stops: Sequence[int] = ()

    @property
    def keys(self) -> list[Binding]:
        """The search, and what ends it where there is one."""
        is_narrowed = self.is_mounted and bool(self.query_one(SearchLine).value)
        own = [one for one in self.OWN_KEYS if isinstance(one, Binding)]
        return [one for one in own if one.show or (is_narrowed and one.action == "cancel")]

    def compose(self) -> ComposeResult:
        """The list, what is searched for, the help."""
        yield Listing(id="setting-list")
        yield SearchLine(id="setting-search", compact=True, placeholder="a name, a value, a word of the help")
        yield Static(id="setting-help", markup=False)

    def show(self, look: RunLook) -> None:
        """Draw the list."""
        words = self.query_one(SearchLine).value
        every = setting_lines(look.row.run, look.parent.run if look.parent else None, look.opened.accepted, time.time())
        self._lines = chosen(every, words)
        self._stops = [number for number, line in enumerate(self._lines) if line.is_setting]
        listing = self.query_one(Listing)
        found = f"  {len(self._stops)} match “{words}”" if words else ""
        listing.border_title = Content.assemble(("settings", "bold"), (found, "$accent"))
        if not self._lines:
            listing.fill([Content.styled("no setting matches; esc shows all", MUTED)])
        else:
            listing.show(len(self._lines), self._line, self._stops)
        self._show_help()

    def _line(self, number: int) -> Content:
        line = self._lines[number]
        if line.is_heading:
            return Content.styled(line.text, "bold $primary")
        if not line.is_setting:
            return Content(f"  {line.text}")
        sign, style = ("●", "bold") if line.is_changed else (" ", "")
        note = f" ({line.note})" if line.note else ""
        value = f"{line.value:<{_VALUE}}" if note else line.value
        return Content.assemble((f"{sign} {line.text:<{_NAME}}", style), (value, style), (note, MUTED))

    def on_listing_moved(self) -> None:
        """Another setting is explained."""
        self._show_help()

    def _show_help(self) -> None:
        at = self.query_one(Listing).cursor
        line = self._lines[self._stops[at]] if at < len(self._stops) else None
        words = Content.assemble((f"--{line.text}  ", "bold"), line.help) if line is not None else Content()
        self.query_one("#setting-help", Static).update(words)

    def move(self, delta: int) -> None:
        """Move the cursor."""
        self.query_one(Listing).move(delta)

    def action_search(self) -> None:
        """Ask for words."""
        self.query_one(SearchLine).open()

    @on(Input.Changed, "#setting-search")
    def narrow(self) -> None:
        """Keep to what matches while it is typed."""
        self.query_one(Listing).put(0)
        self.again()
        self.post_message(self.KeysChanged())

    @on(Input.Submitted, "#setting-search")
    def keep(self) -> None:
        """Keep the words."""
        self.query_one(SearchLine).leave()

    def action_cancel(self) -> None:
        """Forget the words, or else close the screen."""
        self.query_one(SearchLine).cancel()
