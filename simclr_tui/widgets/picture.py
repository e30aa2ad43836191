"""A picture in a terminal, two pixels a cell: the upper one as the ink of a half block, the lower one as its paper."""

from itertools import groupby

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from simclr_tui.run.pictures import Cells, Pixmap, fitting, half_blocks

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

    def render_line(self, y: int) -> Strip:
        """A line of cells, neighbours of the same two colours in one piece."""
        cells, width = self.cells, self.size.width
        if y >= len(cells):
            return Strip.blank(width, self.rich_style)
        line = cells[y]
        left = (width - len(line)) // 2
        segments = [Segment(" " * left, self.rich_style)]
        for (above, below), same in groupby(line):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            segments.append(Segment(_UPPER_HALF * len(list(same)), style))
        return Strip(segments).adjust_cell_length(width, self.rich_style)
