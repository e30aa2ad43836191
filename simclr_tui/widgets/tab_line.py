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
    """Fits all names into 80 cells as long as they take no more together."""

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

    def render(self) -> Content:
        """The line."""
        parts: list[Part] = [" "]
        for name, label in self._labels.items():
            parts += [(label, "bold reverse" if name == self.current else MUTED), " "]
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        """Choose what is under the mouse."""
        start = 1
        for name, label in self._labels.items():
            if start <= event.x < start + len(label):
                self.post_message(self.Chosen(name))
            start += len(label) + 1
