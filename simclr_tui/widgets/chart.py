"""One chart: a border with title and legend, curves in braille, ticks on both axes."""

from typing import ClassVar

from rich.segment import Segment
from textual.content import Content
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from simclr_tui.draw import ChartData, draw
from simclr_tui.theme import RUN_COLOURS


class Chart(Widget):
    """Draws chart data to its size; what is drawn is kept until data or size change."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--chance",
        "chart--mark",
        "chart--empty",
        "chart--second",
        *(f"chart--{kind}-{number}" for kind in ("run", "faint") for number in range(RUN_COLOURS)),
    }
    """
    | Class | Description |
    | :- | :- |
    | `chart--axis` | Ticks and their labels. |
    | `chart--chance` | The dashed line of the chance level. |
    | `chart--mark` | Vertical marks where a run was resumed. |
    | `chart--empty` | The sentence that says why there is no curve. |
    | `chart--second` | The second curve of the cursor's run. |
    | `chart--run-N` | Curves of runs. |
    | `chart--faint-N` | The raw values behind them. |
    """

    data: reactive[ChartData | None] = reactive(None)
    """What is drawn."""

    def __init__(self, *, id: str, classes: str = "") -> None:
        """Args: the widget's id, one of the panels' names, and its classes."""
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip] = []
        self._painted: tuple[object, ...] = ()

    def watch_data(self, data: ChartData | None) -> None:
        """Keep title and legend in the border."""
        if data is None:
            return
        self.border_title = Content.assemble((data.title, "bold"))
        legend = [Content.assemble((text, self._colour(ink))) for text, ink in data.legend]
        self.border_subtitle = Content("  ").join(legend) if legend else ""

    @staticmethod
    def _colour(ink: str) -> str:
        """The theme variable of an ink."""
        if ink == "second":
            return "$second-curve"
        kind, _, number = ink.partition("-")
        return f"$run-{number}" + (" 55%" if kind == "faint" else "")

    def render_line(self, y: int) -> Strip:
        """A row of the chart."""
        key = self._state()
        if key != self._painted:
            self._strips = self._rows()
            self._painted = key
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _state(self) -> tuple[object, ...]:
        """What the picture follows from."""
        return (self.data, self.size, self.app.theme)

    def _rows(self) -> list[Strip]:
        """The whole picture."""
        return self._chart(self.size.height)

    def _chart(self, height: int) -> list[Strip]:
        """The chart in so many rows."""
        if self.data is None:
            return []
        names = Chart.COMPONENT_CLASSES
        inks = {name.removeprefix("chart--"): self.get_component_rich_style(name) for name in names}
        blank = self.rich_style
        return [
            Strip([Segment(text, inks.get(ink, blank)) for text, ink in row]).simplify()
            for row in draw(self.data, self.size.width, height)
        ]
