"""A picture in a terminal: by the terminal's own graphics where it has any, else two pixels a cell.

Of a cell of two pixels the upper one is the ink of a half block and the lower one its paper.
"""

from itertools import groupby
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from simclr_tui.run.pictures import Cells, fitting, half_blocks
from simclr_tui.terminal.pixmap import Pixmap
from simclr_tui.terminal.placeholders import MOST_CELLS, line

if TYPE_CHECKING:
    from simclr_tui.terminal.gallery import Gallery

_UPPER_HALF = "▀"


class Picture(Widget, can_focus=False):
    """As large as there is room for, in the middle."""

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._pixmap: Pixmap | None = None
        self._cells: Cells = []
        self._made_for: tuple[Pixmap, int, int] | None = None

    def put(self, pixmap: Pixmap | None) -> None:
        """Show another picture, or none."""
        self._pixmap = pixmap
        self.refresh()

    @property
    def cells(self) -> Cells:
        """The picture at the size that there is room for; made once for each size."""
        if self._pixmap is None or not self.size.width or not self.size.height:
            return []
        asked = (self._pixmap, *fitting(self._pixmap, *self.size))
        if self._made_for is None or self._made_for[0] is not asked[0] or self._made_for[1:] != asked[1:]:
            self._cells, self._made_for = half_blocks(*asked), asked
        return self._cells

    @property
    def _gallery(self) -> "Gallery | None":
        """What shows pictures by the terminal's own graphics; None where half blocks do."""
        gallery: Gallery | None = getattr(self.app, "gallery", None)
        return gallery

    def on_unmount(self) -> None:
        """Give back what the terminal keeps for pictures that nobody shows any more."""
        if self._gallery is not None:
            self._gallery.release()

    def render_line(self, y: int) -> Strip:
        """A line of cells."""
        width = self.size.width
        if self._pixmap is None or not width:
            return Strip.blank(width, self.rich_style)
        cells = self._parts(self._gallery, self._pixmap, y) if self._gallery is not None else self._halves(y)
        left = (width - sum(cell.cell_length for cell in cells)) // 2
        return Strip([Segment(" " * left, self.rich_style), *cells]).adjust_cell_length(width, self.rich_style)

    def _parts(self, gallery: "Gallery", picture: Pixmap, y: int) -> list[Segment]:
        """A line of cells that stand for parts of the picture."""
        room = (min(self.size.width, MOST_CELLS), min(self.size.height, MOST_CELLS))
        columns, lines = fitting(picture, *room, gallery.graphics.cell or (1, 2))
        if y >= lines:
            return []
        return [Segment(line(gallery.admit(picture, columns, lines), columns, y), self.rich_style)]

    def _halves(self, y: int) -> list[Segment]:
        """A line of half blocks, neighbours of the same two colours in one piece."""
        found = []
        for (above, below), same in groupby(self.cells[y] if y < len(self.cells) else ()):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            found.append(Segment(_UPPER_HALF * len(list(same)), style))
        return found
