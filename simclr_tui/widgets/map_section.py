"""The map of a representation: the scatter, its legend, and the image under the crosshair."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from simclr_tui.learning import map_words
from simclr_tui.learning.look import Look
from simclr_tui.widgets.map_plot import MapPlot

_LEGEND_CELLS = 20
"""Without the gap at its left."""


class MapSection(Vertical):
    """Shows the map of a run, or why there is none."""

    _look: Look | None = None

    def compose(self) -> ComposeResult:
        """Scatter, legend, image."""
        with Horizontal(id="atlas"):
            yield MapPlot(id="plot")
            yield Static(id="legend", markup=False)
        yield Static(id="about", markup=False)

    def show(self, look: Look) -> None:
        """Show a run's map."""
        self._look = look
        drawn = look.embedding
        self.query_one("#atlas").display = drawn is not None and bool(drawn.points)
        self.query_one(MapPlot).show(drawn)
        self._show_image()

    @on(MapPlot.Moved)
    def _show_image(self) -> None:
        if self._look is None:
            return
        plot, about = self.query_one(MapPlot), self.query_one("#about", Static)
        drawn, chosen = self._look.embedding, plot.chosen
        if drawn is None or chosen is None:
            about.update(map_words.empty(self._look))
            return
        self.query_one("#legend", Static).update(map_words.legend(drawn, _LEGEND_CELLS, plot.size.height))
        about.update(map_words.about(drawn, chosen, *plot.place))
