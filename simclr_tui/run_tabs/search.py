"""A line to search with at the bottom of a tab, which gives the keys back once it is closed."""

from textual import events
from textual.widgets import Input


class SearchLine(Input):
    """Shown by `/`; escape empties and closes it, enter keeps what was typed."""

    def open(self) -> None:
        """Take the keys."""
        self.add_class("-shown")
        self.focus()

    def leave(self) -> None:
        """Give the keys back to the tab."""
        if not self.value:
            self.remove_class("-shown")
        tab = next((one for one in self.ancestors if one.can_focus), None)  # type: ignore[attr-defined]
        if tab is not None:
            self.screen.set_focus(tab)  # type: ignore[arg-type]

    def cancel(self) -> None:
        """Forget the words, or else close the screen."""
        if self.value:
            self.value = ""
            self.leave()
        else:
            self.screen.dismiss()

    def on_key(self, event: events.Key) -> None:
        """Escape ends the search, and nothing else."""
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.value = ""
            self.leave()
