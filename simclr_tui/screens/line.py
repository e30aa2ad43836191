"""The keys of runs that wait for a device: into the line, sooner, later, held back, released."""

from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.screens.group import sorted_out
from simclr_tui.screens.mixin import BoardKeys


class LineControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("Q", "line_up", "queue", id="line.join", tooltip="Put marked runs or this one in line"),
        Binding("less_than_sign", "line('up')", "sooner", id="line.up", tooltip="One place up in the line"),
        Binding("greater_than_sign", "line('down')", "later", id="line.down", tooltip="One place down in the line"),
        Binding("h", "line('hold')", "hold", id="line.hold", tooltip="Let others pass, or take the turn again"),
    ]

    def action_line_up(self) -> None:
        """Put the marked runs, or the cursor's where none is marked, at the end of their device's line."""
        cursor = self.board.cursor
        chosen = self.board.marked_rows or ([cursor] if cursor is not None else [])
        # One that waits already keeps its place; the question is not worth asking.
        able, refused = sorted_out("resume", [row for row in chosen if row.turn is None])
        if not able:
            words = refused or [f"{row.run.name} waits already; < and > move it" for row in chosen]
            self.notify("; ".join(words) or "there is no run to queue; n makes one", severity="warning")
            return
        self.dashboard.do(partial(self.dashboard.actions.group, "queue", [row.run.id for row in reversed(able)]))

    def action_line(self, action: str) -> None:
        """Move the cursor's run in its line; `hold` holds it back, or releases it where it is held."""
        row = self.board.cursor
        if row is None or row.turn is None:
            name = row.run.name if row is not None else "no run"
            self.notify(f"{name} waits in no line; Q puts a run that has ended in one", severity="warning")
            return
        if action == "hold" and row.turn.is_held:
            action = "release"
        self.dashboard.do(partial(self.dashboard.actions.change_line, row.run.id, action))
