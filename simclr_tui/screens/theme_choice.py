"""The window in which a theme is chosen: the screen below is shown in the one under the cursor."""

from textual.widgets import OptionList

from simclr_tui.comfort.user_settings import AUTO
from simclr_tui.screens.pick import Item, PickScreen
from simclr_tui.themes import OWN, theme_names

_DETAILS = {
    "simclr-dark": "on a dark background",
    "simclr-light": "on a light background",
    "simclr-16": "the terminal's own 16 colours",
    "simclr-16-light": "the terminal's own 16 colours, on a light background",
}


class ThemeScreen(PickScreen):
    """Gives back the name of a theme; leaving it brings back the one that was shown before."""

    def __init__(self, current: str) -> None:
        """Args: the theme that is shown."""
        own = [theme.name for theme in OWN]
        rest = sorted(set(theme_names()) - set(own))
        items = [Item(name, name, _DETAILS.get(name, "")) for name in (*own, *rest)]
        super().__init__("theme", [*items, Item(AUTO, AUTO, "what goes with the terminal")], [current])
        self._before = current

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show it at once."""
        if event.option.id in self.app.available_themes:
            self.app.theme = event.option.id

    def action_leave(self) -> None:
        """Show again what was shown before."""
        self.app.theme = self._before
        super().action_leave()
