"""The scatter of a representation: one sign a class, a crosshair that goes from image to image."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from simclr_tui.embedding import (
    Cell,
    EmbeddingMap,
    MapPoint,
    cell_of,
    class_signs,
    lay_out,
    majority,
    nearest_cell,
    step_from,
)
from simclr_tui.learning.map_words import class_ink
from simclr_tui.theme import RUN_COLOURS


class MapPlot(Widget):
    """Each cell has the sign of the class that most of its images are of; bold where that is more than half."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "map-plot--cross",
        "map-plot--chosen",
        *(f"map-plot--run-{number}" for number in range(RUN_COLOURS)),
    }

    class Moved(Message):
        """The crosshair is on another image."""

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._map: EmbeddingMap | None = None
        self._signs: list[str] = []
        self._cells: dict[Cell, list[int]] = {}
        self._laid_out: tuple[int, int] = (0, 0)
        self._chosen = 0

    def show(self, drawn: EmbeddingMap | None) -> None:
        """Show a map; the crosshair begins at its first image."""
        if drawn is self._map:
            return
        self._map, self._chosen = drawn, 0
        self._signs = class_signs(drawn.classes) if drawn else []
        self._laid_out = (0, 0)
        self._lay_out()
        self.refresh()

    @property
    def chosen(self) -> MapPoint | None:
        """The image under the crosshair."""
        return self._map.points[self._chosen] if self._map and self._map.points else None

    @property
    def place(self) -> tuple[int, int]:
        """Which of the images in its cell that is, from 1, and how many there are."""
        there = self._there()
        return (there.index(self._chosen) + 1 if self._chosen in there else 1), len(there)

    def move(self, down: int, right: int) -> None:
        """Go to the nearest image in a direction."""
        self._lay_out()
        if self._cells:
            self._choose(self._cells[step_from(self._cell, self._cells, down, right)][0])

    def next_here(self) -> None:
        """Go to the next image of the same cell."""
        there = self._there()
        if there:
            self._choose(there[(there.index(self._chosen) + 1) % len(there)])

    def on_click(self, event: events.Click) -> None:
        """Go to the image that is nearest to the mouse."""
        self._lay_out()
        if self._cells:
            self._choose(self._cells[nearest_cell((event.y, event.x), self._cells)][0])

    def on_resize(self) -> None:
        """Other cells hold other images."""
        self._lay_out()
        self.post_message(self.Moved())

    def _choose(self, number: int) -> None:
        self._chosen = number
        self.refresh()
        self.post_message(self.Moved())

    def _lay_out(self) -> None:
        size = (self.size.width, self.size.height)
        if size != self._laid_out:
            points: Sequence[MapPoint] = self._map.points if self._map and min(size) > 0 else ()
            self._cells, self._laid_out = lay_out(points, *size), size

    @property
    def _cell(self) -> Cell:
        assert self.chosen is not None
        return cell_of(self.chosen, *self._laid_out)

    def _there(self) -> list[int]:
        self._lay_out()
        return self._cells.get(self._cell, []) if self._cells else []

    def render_line(self, y: int) -> Strip:
        """A row of cells."""
        self._lay_out()
        if not self._cells or self._map is None:
            return Strip.blank(self.size.width, self.rich_style)
        row, column = self._cell
        styles = {name: self.get_component_rich_style(f"map-plot--{name}") for name in self._inks}
        segments = []
        for x in range(self.size.width):
            numbers = self._cells.get((y, x))
            is_chosen = (y, x) == (row, column)
            if numbers is None:
                line = "┄" if y == row else "┊" if x == column else " "
                segments.append(Segment(line, styles["cross"]))
                continue
            label = self._map.points[self._chosen].label if is_chosen else majority(self._map.points, numbers)[0]
            style = styles[class_ink(label)] + Style(bold=majority(self._map.points, numbers)[1])
            segments.append(Segment(self._signs[label], style + styles["chosen"] if is_chosen else style))
        return Strip(segments).simplify()

    @property
    def _inks(self) -> list[str]:
        return [name.removeprefix("map-plot--") for name in self.COMPONENT_CLASSES]
