"""The key that opens the form with the settings of the cursor's run."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys
from trainer.store.records import TRAINED_KINDS


class LaunchControls(BoardKeys):
    """Mixed into the main screen. The form is imported on its first use."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("L", "like", "new like this", show=False, id="runs.like", tooltip="Launch a new run like this one"),
    ]

    def action_like(self) -> None:
        """Open the form with the settings of the cursor's run; what it had before is kept."""
        row = self.board.cursor
        if row is None:
            self.notify(
                f"there is no run yet to make another one like it; {key('n', 'runs.new')} makes the first",
                severity="warning",
            )
            return
        source = self.board.row_of(row.run.source_run_id) or row
        if source.run.kind not in TRAINED_KINDS:
            words = f"{source.run.name} is of kind {source.run.kind}, which trains nothing; choose a run that trains"
            self.notify(words, severity="warning")
            return
        from simclr_tui.launch.draft import Draft
        from simclr_tui.screens.new_run import NewRunScreen

        is_kept = self.dashboard.drafts.take(Draft.like(source.run))
        self.app.push_screen(NewRunScreen())
        what = f"the settings of {source.run.name}, as differences from its preset"
        self.notify(what + (f"; {key('^o', 'form.earlier')} brings back what was typed before" if is_kept else ""))
