"""Every key and what it does, made from the bindings themselves."""

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from simclr_tui.comfort.keymap import APP, MAIN, OTHERS, remapped, scope
from simclr_tui.keys import key
from simclr_tui.run_tabs.listing import Listing
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import one_key_text

_KEY_WIDTH = 12
_INDENT = 2

_WORDS = """Charts: the raw values are faint, from the lowest to the highest of each column; the line is their
moving average. A dashed line is what a model that knows nothing would reach, a dotted one is where the run was
resumed, forked or given other settings. What a fork continues is drawn faint before it. Runs belong to their own
processes: closing the dashboard leaves them going, and opening it finds them again."""


class HelpScreen(ModalScreen[None]):
    """The keys of every screen and of everywhere, those of the screen below it first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss", "close", id="help.close", tooltip="Close the help"),
        Binding("up,k", "move(-1)", "up", show=False, id="help.up", tooltip="One line up"),
        Binding("down,j", "move(1)", "down", show=False, id="help.down", tooltip="One line down"),
        Binding("pageup", "turn(-1)", "page up", show=False, id="help.page-up", tooltip="A page up"),
        Binding("pagedown,space", "turn(1)", "page down", show=False, id="help.page-down", tooltip="A page down"),
        Binding("home", "move(-1000000)", "first", show=False, id="help.first", tooltip="To the first line"),
        Binding("end", "move(1000000)", "last", show=False, id="help.last", tooltip="To the last line"),
    ]

    _sections: Sequence[tuple[Content, Sequence[Binding]]] = ()
    _last = ""
    """What is said below all sections, once they are there."""

    def compose(self) -> ComposeResult:
        """One list, of which what can be seen is drawn."""
        yield Listing(id="help")

    def on_mount(self) -> None:
        """Name the window."""
        self.query_one("#help").border_title = Content.assemble(
            ("keys", "bold"), (f"  {key('esc', 'help.close')} closes · {key('↓', 'help.down')} shows more", MUTED)
        )
        self.run_worker(self._fill(), group="help", exit_on_error=False)

    def on_resize(self) -> None:
        """Lines are made for their width."""
        self.call_after_refresh(self._show)

    def _places(self) -> list[tuple[str, str]]:
        """The sections: those of the screen below and of what has its focus, then the others in their order."""
        below = self.app.screen_stack[-2]
        widgets = below.focused.ancestors_with_self if below.focused is not None else [below]
        modules = {type(one).__module__.removeprefix("simclr_tui.") for one in widgets}
        every = [MAIN, *OTHERS]
        here = [place for place in every if place[1].partition(":")[0] in modules]
        here.reverse()  # the keys of a part come before those of its screen
        return [*here, APP, *(one for one in every if one not in here)]

    async def _fill(self) -> None:
        """A screen after the other, each of which is imported for it."""
        keymap = getattr(self.app, "keymap", {})
        for place in self._places():
            own = scope(*place)
            title = Content.styled(own.title, "bold $primary")
            self._sections = [*self._sections, (title, [remapped(binding, keymap) for binding in own.bindings])]
            self._show()
            await asyncio.sleep(0)
        self._last = " ".join(_WORDS.split())
        self._show()

    def _show(self) -> None:
        listing = self.query_one("#help", Listing)
        width = max(1, listing.content_size.width)
        lines = [line for title, bindings in self._sections for line in (title, *_table(bindings, width), Content())]
        listing.fill([*lines, *Content(self._last).wrap(width)])

    def action_move(self, delta: int) -> None:
        """Scroll by lines."""
        self.query_one("#help", Listing).move(delta)

    def action_turn(self, pages: int) -> None:
        """Scroll by pages, with a line of the one before."""
        listing = self.query_one("#help", Listing)
        listing.move(pages * max(1, listing.content_size.height - 1))


def _table(bindings: Sequence[Binding], width: int) -> list[Content]:
    """A binding's keys and what they do, in as many lines as that takes."""
    lines: list[Content] = []
    blank = " " * (_INDENT + _KEY_WIDTH)
    for binding in bindings:
        keys = " ".join(one_key_text(key) for key in binding.key.split(","))
        first, *rest = Content(str(binding.tooltip)).wrap(max(1, width - len(blank)))
        # Keys that take more than their column have a line of their own.
        if len(keys) >= _KEY_WIDTH:
            lines.append(Content.styled(f"{'':{_INDENT}}{keys}", "bold $accent"))
            keys = ""
        lines.append(Content.assemble((f"{'':{_INDENT}}{keys:<{_KEY_WIDTH}}", "bold $accent"), first))
        lines += [Content.assemble(blank, one) for one in rest]
    return lines
