"""Every key and what it does, made from the bindings themselves."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from simclr_tui.comfort.keymap import APP, MAIN, OTHERS, remapped, scope
from simclr_tui.widgets.key_line import one_key_text
from simclr_tui.widgets.piecemeal import mount_piecemeal
from simclr_tui.words import Part

_KEY_WIDTH = 12

_WORDS = """Charts: the raw values are faint, from the lowest to the highest of each column; the line is their
moving average. A dashed line is what a model that knows nothing would reach, a dotted one is where the run was
resumed, forked or given other settings. What a fork continues is drawn faint before it. Runs belong to their own
processes: closing the dashboard leaves them going, and opening it finds them again."""


class HelpScreen(ModalScreen[None]):
    """The keys of every screen and of everywhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "dismiss", "close", id="help.close", tooltip="Close the help"),
    ]

    def compose(self) -> ComposeResult:
        """One section for each screen, with the keys that a person gave."""
        with Vertical(id="dialog"):
            yield VerticalScroll(id="help")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#dialog").border_title = "keys"
        self.query_one("#dialog").border_subtitle = "esc closes"
        self.run_worker(self._fill(), group="help", exit_on_error=False)

    async def _fill(self) -> None:
        """A screen after the other, each of which is imported for it."""
        keymap = getattr(self.app, "keymap", {})
        box = self.query_one("#help")
        for place in (MAIN, *OTHERS, APP):
            own = scope(*place)
            title = Static(Content.styled(own.title, "bold $primary"), classes="section")
            table = Static(_table([remapped(binding, keymap) for binding in own.bindings]))
            await mount_piecemeal(box, [title, table])
        await mount_piecemeal(box, [Static(" ".join(_WORDS.split()), classes="section", markup=False)])


def _table(bindings: Sequence[Binding]) -> Content:
    parts: list[Part] = []
    for binding in bindings:
        keys = " ".join(one_key_text(key) for key in binding.key.split(","))
        parts += [(f"  {keys:<{_KEY_WIDTH}}", "bold $accent"), f"{binding.tooltip}\n"]
    return Content.assemble(*parts)
