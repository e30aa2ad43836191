"""The key that copies something of the cursor's run to the clipboard, and the marks, which are remembered."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.format import fit
from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys

_MARKED = "marked"
_KEEP_SECONDS = 5.0
_SHOWN = 100
"""Columns of a text that the list shows; all of it is copied."""


class ComfortControls(BoardKeys):
    """Mixed into the main screen."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy", id="run.copy", tooltip="Copy the run's id, folder, a command or its figures"),
    ]

    def action_copy(self) -> None:
        """Ask what of the cursor's run is copied; enter takes its id."""
        from simclr_tui.run.copying import copyables
        from simclr_tui.screens.pick import Item, PickScreen

        row = self.board.cursor
        if row is None:
            self.notify(f"there is no run to copy of; {key('n', 'runs.new')} makes one", severity="warning")
            return
        found = {one.id: one for one in copyables(row, self.dashboard.runs)}

        def copy(chosen: list[str] | None) -> None:
            for one in chosen or ():
                self.app.copy_to_clipboard(found[one].text)
                self.notify(
                    f"{found[one].what} of {row.run.name} copied, if the terminal allows it (OSC 52): {found[one].text}"
                )

        items = [Item(one.id, one.what, fit(one.text, _SHOWN).rstrip()) for one in found.values()]
        self.app.push_screen(PickScreen(f"copy of {row.run.name}", items), copy)

    def restore_layout(self) -> None:
        """Mark the runs that were marked when this folder was left; those that are gone fall out at the first poll."""
        marked = self.dashboard.remembered.get(_MARKED, [])
        self.board.marked = {one for one in marked if isinstance(one, str)} if isinstance(marked, list) else set()
        self.set_interval(_KEEP_SECONDS, self.keep_layout)

    def keep_layout(self) -> None:
        """Remember the marks. They are known only once the runs are."""
        if self.board.rows:
            self.dashboard.remembered.put(_MARKED, sorted(self.board.marked))

    def on_unmount(self) -> None:
        """What was marked last is remembered too."""
        self.keep_layout()
