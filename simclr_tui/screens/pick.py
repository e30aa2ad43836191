"""A window with a list to choose from: found by typing, one or several, and in an order where that means something."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from simclr_tui.keys import key
from simclr_tui.theme import MUTED

_MOST_LISTED = 100
"""Lines that are listed at once: a thousand would be measured anew at each letter; whoever wants another one types."""
_LINES_BESIDE = 4
"""Of the window: its frame, what is searched for, the keys."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to choose."""

    id: str
    text: str
    detail: str = ""
    """Shown behind it, fainter, and searched too."""


class _Search(Input):
    """Leaves the space bar to the list, where it chooses."""

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        """Whether a key is a letter to it."""
        return key != "space" and super().check_consume_key(key, character)


class PickScreen(ModalScreen[list[str] | None]):
    """Gives back the ids that were chosen, in their order, or None where the window was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take", id="pick.take", tooltip="Take what is chosen", priority=True),
        Binding("space", "choose", "choose", id="pick.choose", tooltip="Choose the line, or not", priority=True),
        Binding("up", "move(-1)", "up", show=False, id="pick.up", tooltip="One line up"),
        Binding("down", "move(1)", "down", show=False, id="pick.down", tooltip="One line down"),
        Binding("ctrl+up", "shift(-1)", "earlier", id="pick.earlier", tooltip="The chosen line one place earlier"),
        Binding("ctrl+down", "shift(1)", "later", id="pick.later", tooltip="The chosen line one place later"),
        Binding("escape", "leave", "leave", id="pick.leave", tooltip="Leave it as it was"),
    ]

    def __init__(self, title: str, items: Sequence[Item], chosen: Sequence[str] = (), *, many: bool = False) -> None:
        """Args: the window's title, what there is, the ids that are chosen at first, and whether there may be many.

        With `many` what is chosen stands first, in its order; else a line is taken by enter alone.
        """
        super().__init__()
        self._title = title
        self._items = {item.id: item for item in items}
        self._chosen = [one for one in chosen if one in self._items]
        self._many = many

    def compose(self) -> ComposeResult:
        """What is searched for, the list, the keys."""
        with Vertical(id="dialog"):
            yield _Search(placeholder="type to search", id="search", compact=True)
            yield OptionList(id="list", compact=True, markup=False)
            yield Static(Content.styled(self._keys, MUTED), id="pick-keys")

    def on_mount(self) -> None:
        """Begin at what is chosen."""
        self.query_one("#dialog").border_title = Content(self._title)
        self.query_one("#list").can_focus = False
        self._fill(self._chosen[0] if self._chosen else None)
        self.query_one(Input).focus()

    def on_resize(self) -> None:
        """The list has what the window can have beside its frame and two lines, so that it leaves no blank ones."""
        self._list.styles.max_height = max(1, self.size.height * 9 // 10 - _LINES_BESIDE)

    @property
    def _keys(self) -> str:
        """What can be done, in a line."""
        take, leave = key("↵", "pick.take"), f"{key('esc', 'pick.leave')} leaves"
        if not self._many:
            return f"{take} takes · {leave}"
        moved = f"{key('^↑', 'pick.earlier')} {key('^↓', 'pick.later')} move"
        return f"{key('space', 'pick.choose')} chooses · {moved} · {take} takes them · {leave}"

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    @property
    def highlighted(self) -> str | None:
        """The id of the line under the cursor."""
        at = self._list.highlighted
        return None if at is None else self._list.get_option_at_index(at).id

    def _fill(self, at: str | None) -> None:
        """List what matches, what is chosen first where there may be many, and put the cursor on a line."""
        words = self.query_one(Input).value.lower().split()
        order = [*self._chosen, *(one for one in self._items if one not in self._chosen)] if self._many else self._items
        found = [
            item
            for item in (self._items[one] for one in order)
            if all(word in f"{item.text} {item.detail}".lower() for word in words)
        ]
        listed = found[: max(_MOST_LISTED, len(self._chosen) if self._many else 0)]
        self._list.clear_options().add_options([Option(self._line(item), id=item.id) for item in listed])
        rest = len(found) - len(listed)
        self.query_one("#dialog").border_subtitle = f"{rest:,} more; type to find them" if rest else ""
        ids = [item.id for item in listed]
        self._list.highlighted = None if not ids else ids.index(at) if at in ids else 0

    def _line(self, item: Item) -> Content:
        if self._many:
            sign = f"{self._chosen.index(item.id) + 1:>2} " if item.id in self._chosen else "   "
        elif item.id in self._chosen:
            sign = "● "
        else:
            sign = "  "
        # A terminal's own colours can't be thinned out, and would hide the words on the ground of the cursor.
        faint = "" if self.app.current_theme.ansi else MUTED
        return Content.assemble((sign, "bold $accent"), item.text, (f"  {item.detail}" if item.detail else "", faint))

    @on(Input.Changed)
    def search(self) -> None:
        """Keep to the lines that match."""
        self._fill(self.highlighted)

    @on(OptionList.OptionSelected)
    def click(self, event: OptionList.OptionSelected) -> None:
        """A click chooses a line."""
        self.action_choose() if self._many else self._give([event.option.id or ""])

    def action_move(self, delta: int) -> None:
        """Move the cursor."""
        (self._list.action_cursor_down if delta > 0 else self._list.action_cursor_up)()

    def action_choose(self) -> None:
        """Choose the line under the cursor, or not; where there is one to choose, space is a letter."""
        at = self.highlighted
        if not self._many:
            self.query_one(Input).insert_text_at_cursor(" ")
        elif at is not None:
            if at in self._chosen:
                self._chosen.remove(at)
            else:
                self._chosen.append(at)
            self._fill(at)

    def action_shift(self, delta: int) -> None:
        """Move the chosen line under the cursor among the chosen ones."""
        at = self.highlighted
        if self._many and at in self._chosen:
            place = self._chosen.index(at)
            self._chosen.insert(max(0, place + delta), self._chosen.pop(place))
            self._fill(at)

    def action_take(self) -> None:
        """Give back what is chosen; where there is one to choose, the line under the cursor."""
        at = self.highlighted
        if self._many:
            self._give(self._chosen)
        elif at is not None:
            self._give([at])

    def _give(self, chosen: list[str]) -> None:
        self.dismiss(chosen)

    def action_leave(self) -> None:
        """Leave it as it was."""
        self.dismiss(None)
