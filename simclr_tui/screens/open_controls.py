"""The keys that give a run more room: a screen of its own, or the place of the list where both don't fit."""

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys

if TYPE_CHECKING:
    from simclr_tui.screens.run import RunScreen


class OpenControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="run.open", tooltip="The run's own screen: charts, epoch, log and more"),
        Binding("tab", "switch", "run", id="run.switch", tooltip="Change between list and run"),
    ]

    run_screen: "RunScreen | None" = None
    """The screen above this one that shows one run, if it is open."""

    def action_open(self, tab: str = "") -> None:
        """Open the screen of the cursor's run at a tab, by default the one that was looked at last."""
        row = self.board.cursor
        if row is None:
            self.notify(f"there is no run to open; {key('n', 'runs.new')} makes one", severity="warning")
            return
        from simclr_tui.screens.run import TAB, TABS, RunScreen

        wanted = tab or self.dashboard.remembered.get(TAB)
        self.run_screen = RunScreen(self.board, row.run.id, tab=wanted if wanted in TABS else "charts")
        self.app.push_screen(self.run_screen, lambda _: self._leave_run())

    def _leave_run(self) -> None:
        self.run_screen = self.board.opened_id = self.board.opened = self.board.learning_id = None
        self.show_board()

    @property
    def is_open(self) -> bool:
        """Whether the cursor's run has the place of the list."""
        return self.has_class("-open")

    def action_switch(self) -> None:
        """Give the run the place of the list, or go back."""
        if self.board.cursor is not None or self.is_open:
            self.toggle_class("-open")
            self.call_after_refresh(self.show_board)
        else:
            self.notify(f"there is no run to show; {key('n', 'runs.new')} makes one", severity="warning")
