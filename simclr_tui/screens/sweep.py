"""The runs of a sweep before there are any: their names, what they take together, and the question."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine, window_keys


class SweepScreen(ModalScreen[bool]):
    """Answers whether the runs are made."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter,f6", "answer(True)", "put them in line", id="sweep.yes", tooltip="Make them and queue them"),
        Binding("n,escape,q", "answer(False)", "not yet", id="sweep.no", tooltip="Back to the form; nothing is made"),
        Binding("up,k", "scroll(-1)", "up", show=False, id="sweep.up", tooltip="Scroll the names up"),
        Binding("down,j", "scroll(1)", "down", show=False, id="sweep.down", tooltip="Scroll the names down"),
        Binding("pageup", "scroll(-8)", "up", show=False, id="sweep.page-up", tooltip="Scroll the names far up"),
        Binding("pagedown", "scroll(8)", "down", show=False, id="sweep.page-down", tooltip="Scroll the names far down"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, names: Sequence[str], tag: str, cost: str) -> None:
        """Args: the names of the runs, their common tag, and what they take together."""
        super().__init__()
        self._names, self._tag, self._cost = names, tag, cost

    def compose(self) -> ComposeResult:
        """The names, the tag, the cost, the keys."""
        with Vertical(id="dialog"):
            with VerticalScroll(id="names", can_focus=False):
                places = (f"{number:>2}  {name}" for number, name in enumerate(self._names, start=1))
                yield Static("\n".join(places), markup=False)
            told = Content.assemble((f"tag {self._tag}\n", MUTED), self._cost)
            yield Static(told, id="told")
            yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = f"Put {len(self._names)} runs in line, in this order?"
        self.query_one(KeyLine).keys = window_keys(self.BINDINGS)

    def action_answer(self, is_sure: bool) -> None:
        """Close with an answer."""
        self.dismiss(is_sure)

    def action_scroll(self, lines: int) -> None:
        """Scroll the names."""
        self.query_one("#names", VerticalScroll).scroll_relative(y=lines, animate=False)
