"""Curves as braille characters: a cell is two dots wide and four high, and has one ink.

Pure: no widget, no colour, no scale. Dots are counted from the top left, x to the right and y downwards.
"""

from collections.abc import Iterator

CELL_WIDTH = 2
CELL_HEIGHT = 4
_BLANK = 0x2800
# Unicode numbers the dots of a cell 1 2 3 7 down the left column and 4 5 6 8 down the right one.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """A grid of braille cells to draw on; a cell that is drawn on with another ink belongs to that one alone."""

    def __init__(self, columns: int, rows: int) -> None:
        """Args: the size in cells, both at least 1."""
        self.columns = columns
        self.rows = rows
        self.width = columns * CELL_WIDTH
        self.height = rows * CELL_HEIGHT
        self._bits = [[0] * columns for _ in range(rows)]
        self._inks = [[""] * columns for _ in range(rows)]

    def dot(self, x: int, y: int, ink: str) -> None:
        """Set one dot; outside of the canvas nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            row, column = y // CELL_HEIGHT, x // CELL_WIDTH
            if self._inks[row][column] != ink:
                self._inks[row][column] = ink
                self._bits[row][column] = 0
            self._bits[row][column] |= _BITS[y % CELL_HEIGHT][x % CELL_WIDTH]

    def column(self, x: int, top: int, bottom: int, ink: str) -> None:
        """Set the dots of one column from `top` down to `bottom`, both included."""
        for y in range(max(0, top), min(self.height - 1, bottom) + 1):
            self.dot(x, y, ink)

    def line(self, x0: int, y0: int, x1: int, y1: int, ink: str) -> None:
        """Set the dots of a straight line, both ends included (Bresenham 1965)."""
        dx, dy = abs(x1 - x0), -abs(y1 - y0)
        step_x, step_y = (1 if x0 < x1 else -1), (1 if y0 < y1 else -1)
        error = dx + dy
        while True:
            self.dot(x0, y0, ink)
            if (x0, y0) == (x1, y1):
                return
            doubled = 2 * error
            if doubled >= dy:
                error += dy
                x0 += step_x
            if doubled <= dx:
                error += dx
                y0 += step_y

    def cells(self, row: int) -> Iterator[tuple[str, str]]:
        """The characters of a row with their inks; an empty cell is a space without one."""
        for bits, ink in zip(self._bits[row], self._inks[row], strict=True):
            yield (chr(_BLANK + bits), ink) if bits else (" ", "")
