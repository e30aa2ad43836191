"""Numbers and names of tabs in a line; a click chooses one."""

from collections.abc import Mapping

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.theme import MUTED
from simclr_tui.words import Part


class TabLine(Widget):
    """Where room is short, the names of the tabs that are not shown are cut, all to the same number of letters."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            """Args: the tab's id."""
            super().__init__()
            self.tab = name

    current: reactive[str] = reactive("")
    """The id of the tab that is shown."""

    def __init__(self, names: Mapping[str, str], *, id: str) -> None:
        """Args: the tabs' names by id, and the widget's id."""
        super().__init__(id=id)
        self._labels = {name: f"{number} {words}" for number, (name, words) in enumerate(names.items(), start=1)}

    def _shown(self) -> dict[str, str]:
        """The labels as they fit."""
        full = max(map(len, self._labels.values()))
        for length in range(full, 0, -1):
            shown = {
                name: label if name == self.current else label[:length].rstrip() for name, label in self._labels.items()
            }
            if 1 + sum(len(label) + 1 for label in shown.values()) <= self.size.width:
                break
        return shown

    def render(self) -> Content:
        """The line."""
        parts: list[Part] = [" "]
        for name, label in self._shown().items():
            parts += [(label, "bold reverse" if name == self.current else MUTED), " "]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Choose what is under the mouse."""
        start = 1
        for name, label in self._shown().items():
            if start <= event.x < start + len(label):
                self.post_message(self.Chosen(name))
            start += len(label) + 1
