"""The parallel coordinates of compared runs in the frame of a chart."""

from textual.content import Content
from textual.strip import Strip

from simclr_tui.plot.coordinates import Coordinates, draw, shown_axes
from simclr_tui.widgets.chart import Chart

_TITLE = "settings against results"


class CoordinatesChart(Chart):
    """Draws parallel coordinates to its size. There is no x to read values at: each axis has its own."""

    def __init__(self, *, id: str, classes: str = "") -> None:
        """Args: the widget's id and classes."""
        super().__init__(id=id, classes=classes)
        self._coordinates = Coordinates()
        self.border_title = Content.assemble((_TITLE, "bold"))

    def show(self, coordinates: Coordinates) -> None:
        """Draw these from now on."""
        if coordinates != self._coordinates:
            self._coordinates = coordinates
            self._show_legend()
            self.refresh()

    def _show_legend(self) -> None:
        """Which line is whose, and how many settings have no room."""
        shown = self._coordinates
        left_out = len(shown.axes) - len(shown_axes(shown, self.size.width))
        said = [(f"{left_out} more {'axis has' if left_out == 1 else 'axes have'} no room", "axis")] if left_out else []
        self._put_legend(said + [(f"{one.sign} {one.name}", one.ink) for one in reversed(shown.courses)])

    def _state(self) -> tuple[object, ...]:
        return (self._coordinates, self.size, self.app.theme)

    def _chart(self, height: int) -> list[Strip]:
        return self._inked(draw(self._coordinates, self.size.width, height))
