"""What happened last, the newest first."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.charts.marks import mark_word
from simclr_tui.format import clock, fit
from simclr_tui.theme import MUTED
from simclr_tui.words import Part
from trainer.store.records import Event

_NAME_WIDTH = 16
_STYLES = {"info": "", "warning": "$warning", "error": "$error"}
_SIGNS = {"info": " ", "warning": "!", "error": "✗"}


class EventLog(Widget):
    """As many events as there are lines; a warning and an error have a sign and a colour."""

    events: reactive[Sequence[Event]] = reactive(())
    """Events, the oldest first."""
    names: reactive[Mapping[str, str]] = reactive({})
    """Names of runs by id."""
    is_own: reactive[bool] = reactive(False)
    """Whether all of them are of one run: the word of the charts' marks then stands in the place of its name."""

    def on_mount(self) -> None:
        """Name the pane."""
        self.border_title = Content.assemble(("events", "bold"))

    def render(self) -> Content:
        """One line an event, cut at the right where it does not fit."""
        shown = list(reversed(self.events[-max(1, self.size.height) :]))
        width = max((cell_len(self._mark(event)) for event in shown), default=0) if self.is_own else _NAME_WIDTH
        lines = [self._line(event, width) for event in shown]
        return Content("\n").join(lines) if lines else Content.styled("nothing has happened yet", MUTED)

    def _line(self, event: Event, width: int) -> Content:
        name = self._mark(event) if self.is_own else self.names.get(event.run_id, event.run_id)
        parts: list[Part] = [
            (f"{clock(event.at, seconds=True)} ", MUTED),
            (f"{_SIGNS.get(event.level, ' ')} ", f"bold {_STYLES.get(event.level, '')}"),
            f"{fit(name, width)}  " if width else "",
            (event.message, _STYLES.get(event.level, "")),
        ]
        return Content.assemble(*parts).truncate(self.size.width, ellipsis=True)

    @staticmethod
    def _mark(event: Event) -> str:
        """How charts mark it."""
        word = mark_word(event)
        return f"{'┆' if event.level == 'info' else '┇'} {word}" if word else ""
