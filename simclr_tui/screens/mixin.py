"""What the groups of keys that are mixed into a screen of runs may count on."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen

    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board

    class BoardKeys(Screen[None]):
        """A screen with a board; the mixins themselves are no screens, so that the order of bases says nothing."""

        board: Board

        @property
        def dashboard(self) -> DashboardApp:
            """The app, which has the feed, the actions and what is remembered."""
            ...

        def show_board(self) -> None:
            """Bring every widget up to date with the board."""

else:
    BoardKeys = object
