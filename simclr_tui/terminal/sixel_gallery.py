"""Pictures on a terminal with Sixel: pixels are painted over blank cells, and painted again where text was written.

What the terminal shows is known cell by cell, so that a picture may lie under a window, come back from under it piece
by piece and leave as text does.
"""

from dataclasses import replace
from functools import partial

from simclr_tui.terminal.gallery import AT_ONCE, Ask, Gallery, Held
from simclr_tui.terminal.graphics import Graphics
from simclr_tui.terminal.placeholders import part
from simclr_tui.terminal.sixel import Painted, encoded, painted

_LINES_AT_ONCE = 4
"""Lines of cells in a sequence, which nothing can come between, so that it is some ten thousand characters."""

_PAINTED = "painted"

Cell = tuple[int, int]
"""Where a cell is on the screen, or how large it is in pixels."""
Rectangle = tuple[int, int, int, int]
"""Column, row, columns and rows of cells."""


class SixelGallery(Gallery):
    """Knows which cells show which part of which picture, and paints those that don't yet."""

    def __init__(self, graphics: Graphics, ask: Ask, height: int) -> None:
        """Args: how the terminal draws, who does what takes too long for the event loop, and the terminal's lines."""
        super().__init__(graphics, ask)
        self._height = height
        self._parts: dict[Cell, tuple[int, int, int]] = {}
        """Number, column and row of what cells of the screen stand for."""
        self._blank: set[Cell] = set()
        """Those of them that are not painted."""
        self._changed: set[int] = set()
        """Pictures some of whose cells were written."""
        self._is_drawing = False

    def _drawn(self, cells: list[str], x: int, y: int) -> str:
        self._is_text(x, y, len(cells))
        for at, cell in enumerate(cells, x):
            found = part(cell)
            if found and y < self._height - 1:  # behind a picture in the last line the terminal may scroll
                self._parts[at, y] = found
                self._blank.add((at, y))
                self._changed.add(found[0])
        return " " * len(cells)

    def _is_text(self, x: int, y: int, width: int) -> None:
        if self._parts:
            for at in range(x, x + width):
                if (at, y) in self._parts:
                    self._changed.add(self._parts.pop((at, y))[0])
                    self._blank.discard((at, y))

    @property
    def is_due(self) -> bool:
        """Whether cells wait to be painted, and not for the thread that makes them."""
        return bool(self._blank) and not self._is_drawing

    def due(self) -> str:
        """Paint the next cells."""
        if self.graphics.in_tmux:  # which takes a picture away as a whole where text is written to a cell of it
            self._blank |= {cell for cell, (number, *_) in self._parts.items() if number in self._changed}
        self._changed.clear()
        found = ""
        while self._blank and len(found) < AT_ONCE and not self._is_drawing:
            x, y = min(self._blank, key=lambda cell: (cell[1], cell[0]))
            number, column, row = self._parts[x, y]
            columns, rows = self._extent(x, y)
            held, rectangle = self._held.get(number), (column, row, columns, rows)
            if held is not None and rectangle not in held.made:
                self._is_drawing = True
                asked = (held, rectangle, self.graphics.cell or (1, 1))
                self._ask(partial(self._make, *asked), partial(self._take, *asked))
                break
            self._blank -= {(at, line) for at in range(x, x + columns) for line in range(y, y + rows)}
            if held is not None:
                found += f"\x1b[{y + 1};{x + 1}H{held.made[rectangle]}"
        return found

    def _extent(self, x: int, y: int) -> tuple[int, int]:
        """Columns and rows of the blank cells from here that show one rectangle of a picture."""
        number, column, row = self._parts[x, y]

        def fits(columns: int, rows: int) -> bool:
            cell = (x + columns, y + rows)
            return cell in self._blank and self._parts[cell] == (number, column + columns, row + rows)

        columns = rows = 1
        while fits(columns, 0):
            columns += 1
        most = self._height if self.graphics.in_tmux else _LINES_AT_ONCE
        while rows < most and all(fits(at, rows) for at in range(columns)):
            rows += 1
        return columns, rows

    def _make(self, held: Held, rectangle: Rectangle, cell: Cell) -> tuple[Painted, str]:
        """A part of a picture as its sequence, with the picture as it was painted. Runs in a thread."""
        wide, high = cell
        whole = held.made.get(_PAINTED)
        if whole is None:
            whole = painted(held.picture, held.columns * wide, held.lines * high, self.graphics.colours)
        column, row, columns, rows = rectangle
        return whole, encoded(whole.crop(column * wide, row * high, columns * wide, rows * high))

    def _take(self, held: Held, rectangle: Rectangle, cell: Cell, made: tuple[Painted, str]) -> None:
        self._is_drawing = False
        if cell == self.graphics.cell:
            held.made[_PAINTED], held.made[rectangle] = made

    def forget(self) -> None:
        """Every cell will be written again."""
        self._parts.clear()
        self._blank.clear()
        self._changed.clear()

    def resize(self, height: int, cell: tuple[int, int] | None) -> None:
        """Every cell will be written again, and may be of another size."""
        self.forget()
        self._height = height
        if cell is not None and cell != self.graphics.cell:
            self.graphics = replace(self.graphics, cell=cell)
            for held in self._held.values():
                held.made.clear()
