"""The search of the form: only settings whose name, group or help match are shown, their groups unfolded."""

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Collapsible, Input, Label

from simclr_tui.launch.draft import folded_fields, matching
from simclr_tui.widgets.field_row import FieldRow

if TYPE_CHECKING:
    from textual.screen import Screen

    class FormKeys(Screen[None]):
        """A screen with the form."""

        is_whole: asyncio.Event
        """Set once all rows that stand outside of groups are made, and the groups."""

        async def fill(self, collapsible: Collapsible) -> None:
            """Make the rows of a group if there are none yet."""

else:
    FormKeys = object

_PAUSE_SECONDS = 0.12
"""Nothing is looked for while somebody still types."""


class FormSearch(FormKeys):
    """Mixed into the form."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+f",
            "search",
            "search",
            key_display="^f",
            id="form.search",
            tooltip="Show only settings that match",
            priority=True,
        ),
        Binding("slash", "search", "search", show=False, id="form.search-slash", tooltip="The same, outside a field"),
    ]

    _unfolded: frozenset[str | None] = frozenset()
    """The groups that were open before the search."""
    _before: Widget | None = None
    wanted: frozenset[str] = matching("")
    """The settings that are shown: all of them unless some are searched for."""

    @property
    def is_searching(self) -> bool:
        """Whether only some settings are shown."""
        return self.query_one("#search", Input).has_class("-shown")

    def action_search(self) -> None:
        """Ask for the words that are searched for."""
        field = self.query_one("#search", Input)
        if not self.is_searching:
            self._unfolded = frozenset(one.id for one in self.query(Collapsible) if not one.collapsed)
            self._before = self.focused
            field.add_class("-shown")
        field.focus()

    def look_for(self, text: str) -> None:
        """Show what matches, once the typing pauses."""
        self.run_worker(self._narrow_later(text), group="search", exclusive=True, exit_on_error=False)

    async def _narrow_later(self, text: str) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)
        await self._narrow(text)

    async def _narrow(self, text: str) -> None:
        await self.is_whole.wait()
        found = self.wanted = matching(text)
        for row in self.query(FieldRow):
            row.display = row.field.name in found
        for always in self.query(".-always"):
            always.display = not text.strip()
        nothing = self.query_one("#nothing", Label)
        nothing.display = not found
        nothing.update(f"no setting has {text.strip()!r} in its name, group or help; esc shows all")
        for group, fields in folded_fields().items():
            await asyncio.sleep(0)  # a group with its rows takes a while to style
            collapsible = self.query_one(f"#group-{group.lower()}", Collapsible)
            collapsible.display = any(one.name in found for one in fields)
            is_open = bool(text.strip()) and collapsible.display
            if is_open:
                await self.fill(collapsible)
            collapsible.collapsed = not (is_open or (not text.strip() and collapsible.id in self._unfolded))
        self.query_one("#form", VerticalScroll).scroll_home(animate=False)

    def find_first(self) -> None:
        """Go to the first setting that matches."""
        row = next((row for row in self.query(FieldRow) if row.field.name in self._found), None)
        if row is None:
            self.notify("no setting matches; esc shows all of them again", severity="warning")
        else:
            row.take_focus()

    @property
    def _found(self) -> frozenset[str]:
        return matching(self.query_one("#search", Input).value)

    async def end_search(self) -> None:
        """Show all settings again, and go on where the search began or at what it found."""
        field = self.query_one("#search", Input)
        was_within = field.has_focus
        field.remove_class("-shown")
        with field.prevent(Input.Changed):
            field.value = ""
        await self._narrow("")
        if was_within and self._before is not None:
            self._before.focus()
