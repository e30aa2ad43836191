"""Keys of the form that put other settings into it; what it had is kept and can be brought back."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.keys import key
from simclr_tui.launch.draft import Draft
from simclr_tui.launch.drafts import draft_words
from trainer.store.records import TRAINED_KINDS

if TYPE_CHECKING:
    from textual.screen import Screen

    from simclr_tui.app import DashboardApp

    class FormKeys(Screen[None]):
        """A screen with the form."""

        @property
        def dashboard(self) -> DashboardApp:
            """The app, which has the drafts."""
            ...

        def show_draft(self) -> None:
            """Show the draft as it is."""

else:
    FormKeys = object


class FormDrafts(FormKeys):
    """Mixed into the form."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l", "like", "like", key_display="^l", id="form.like", tooltip="Take the settings of a run"),
        Binding("ctrl+o", "earlier", "earlier", key_display="^o", id="form.earlier", tooltip="Bring back a draft"),
        Binding("ctrl+r", "reset", "reset", key_display="^r", id="form.reset", tooltip="Take back all that was typed"),
    ]

    def action_like(self) -> None:
        """Choose a run, whose settings the form takes."""
        from simclr_tui.screens.pick import Item, PickScreen

        main = self.dashboard.main_screen
        rows = [row for row in main.board.rows if row.run.kind in TRAINED_KINDS] if main else []
        if not rows:
            self.notify("there is no run yet whose settings could be taken", severity="warning")
            return

        def take(chosen: list[str] | None) -> None:
            row = next((row for row in rows if chosen and row.run.id == chosen[0]), None)
            if row is not None:
                self._take(Draft.like(row.run), f"the settings of {row.run.name}")

        items = [Item(row.run.id, row.run.name, f"{row.state} · {row.run.preset or 'no preset'}") for row in rows]
        self.app.push_screen(PickScreen("like which run", items), take)

    def action_earlier(self) -> None:
        """Choose a draft of before."""
        from simclr_tui.screens.pick import Item, PickScreen

        kept = list(self.dashboard.drafts.kept)
        if not kept:
            self.notify("there is no earlier draft; what another one takes the place of is kept here")
            return

        def take(chosen: list[str] | None) -> None:
            if chosen:
                self._take(kept[int(chosen[0])], "the earlier draft")

        items = [
            Item(str(number), f"{one.preset}{f' · {one.name}' if one.name else ''}", draft_words(one))
            for number, one in enumerate(kept)
        ]
        self.app.push_screen(PickScreen("earlier drafts", items), take)

    def action_reset(self) -> None:
        """Take back what was typed."""
        draft = self.dashboard.draft
        self._take(Draft(preset=draft.preset, name=draft.name), "the preset's own settings")

    def _take(self, draft: Draft, what: str) -> None:
        is_kept = self.dashboard.drafts.take(draft)
        self.show_draft()
        self.save_drafts()
        self.notify(
            f"the form has {what}"
            + (f"; {key('^o', 'form.earlier')} brings back what it had before" if is_kept else "")
        )

    def save_drafts(self) -> None:
        """Remember the drafts, in a thread."""
        drafts = self.dashboard.drafts
        self.dashboard.do(partial(drafts.save, drafts.snapshot()))
