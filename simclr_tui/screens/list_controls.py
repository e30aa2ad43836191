"""The keys of the list of runs: the cursor, marks and the filter."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.widgets.run_table import RunTable


class ListControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", id="run.mark", tooltip="Draw the run's curves beside those of others"),
        Binding("slash", "filter", "filter", id="runs.filter", tooltip="Show only runs that match some words"),
        Binding("up,k", "move(-1)", "up", show=False, id="cursor.up", tooltip="One run up"),
        Binding("down,j", "move(1)", "down", show=False, id="cursor.down", tooltip="One run down"),
        Binding("pageup", "move(-10)", "page up", show=False, id="cursor.page-up", tooltip="Ten runs up"),
        Binding("pagedown", "move(10)", "page down", show=False, id="cursor.page-down", tooltip="Ten runs down"),
        Binding("home", "move(-1000000)", "first", show=False, id="cursor.first", tooltip="To the first run"),
        Binding("end", "move(1000000)", "last", show=False, id="cursor.last", tooltip="To the last run"),
    ]

    def action_move(self, delta: int) -> None:
        """Move the cursor."""
        self.board.move(delta)
        self.show_board()

    def action_mark(self) -> None:
        """Mark or unmark the cursor's run."""
        self.board.toggle_mark()
        self.show_board()

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.remove_class("-open")
        field = self.query_one("#filter", Input)
        field.add_class("-shown")
        field.focus()

    # Named as Textual looks for them: it finds methods that are decorated with `on` in screens and widgets alone.
    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the words are typed."""
        if event.input.id == "filter":
            self.board.set_filter(event.value)
            self.show_board()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter."""
        if event.input.id == "filter":
            self.close_filter()

    def close_filter(self) -> None:
        """Give the keys back to the screen."""
        field = self.query_one("#filter", Input)
        field.remove_class("-shown")
        self.set_focus(None)

    def on_run_table_chosen(self, event: RunTable.Chosen) -> None:
        """Put the cursor where the mouse was; a second click opens the run."""
        if self.board.cursor_id == event.run_id:
            self.call_later(self.run_action, "open")
            return
        self.board.cursor_id = event.run_id
        self.show_board()
