"""The sections of the learning screen: a list with what each says, or a line of tabs where room is short."""

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.learning.look import Look
from simclr_tui.learning.sections import SECTIONS
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_LINES = 4
"""Lines of a section in the list: its title, two of what it says, and an empty one."""


class SectionMenu(Widget):
    """Numbers, titles and digests; a click chooses."""

    class Chosen(Message):
        """A section was clicked."""

        def __init__(self, name: str) -> None:
            """Args: the section's id."""
            super().__init__()
            self.section = name

    look: reactive[Look | None] = reactive(None)
    """What the digests are of."""
    current: reactive[str] = reactive("health")
    """The section that is shown."""

    @property
    def is_line(self) -> bool:
        """Whether there is room for one line only."""
        return self.size.height < 2

    def render(self) -> Content:
        """The list or the tabs."""
        if self.look is None:
            return Content()
        return Content.assemble(*self._tabs()) if self.is_line else self._list(self.look)

    def _tabs(self) -> list[Part]:
        parts: list[Part] = []
        for number, (name, section) in enumerate(SECTIONS.items(), start=1):
            is_current = name == self.current
            style = "bold reverse" if is_current else MUTED
            parts.append((f" {number} {section.title} ", style))
        return parts

    def _list(self, look: Look) -> Content:
        lines: list[Content] = []
        for number, (name, section) in enumerate(SECTIONS.items(), start=1):
            is_current = name == self.current
            sign, style = ("▸", "bold $primary") if is_current else (" ", "bold")
            lines.append(Content.assemble((f"{sign} {number} {section.title}", style)))
            said = section.digest(look).wrap(max(1, self.size.width - 4)) if self.size.width > 4 else []
            kept = [Content.assemble("    ", line.rstrip()) for line in said[: _LINES - 2]]
            lines += kept + [Content()] * (_LINES - 1 - len(kept))
        return Content("\n").join(lines)

    def on_click(self, event: events.Click) -> None:
        """Choose what is under the mouse."""
        names = list(SECTIONS)
        if not self.is_line:
            at = event.y // _LINES
        else:
            ends, end = [], 0
            for number, section in enumerate(SECTIONS.values(), start=1):
                end += len(f" {number} {section.title} ")
                ends.append(end)
            at = next((place for place, end in enumerate(ends) if event.x < end), len(names))
        if 0 <= at < len(names):
            self.post_message(self.Chosen(names[at]))
