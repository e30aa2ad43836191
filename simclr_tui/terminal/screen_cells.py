"""What a terminal shows, cell by cell, so that only what differs is sent to it. Pure.

A widget paints whole lines; over a network it is the few changed characters in them that matter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import get_character_cell_size
from rich.segment import Segment
from rich.style import Style

Cell = tuple[str, Style | None]
"""What stands in a cell, and how. The second cell of a wide character is empty."""

_UNKNOWN: Cell = ("\0", None)
"""A cell of which nobody knows what the terminal shows."""

_BLANK: Cell = (" ", None)

_BRIDGE = 6
"""Equal cells between changed ones that are sent all the same: moving the cursor costs as much."""


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of a line that has to be written."""

    x: int
    y: int
    segments: tuple[Segment, ...]


def cells_of(segments: Iterable[Segment]) -> list[Cell]:
    """The cells of a stretch of a line."""
    cells: list[Cell] = []
    for text, style, control in segments:
        if control:
            continue
        if text.isascii():
            cells += [(character, style) for character in text]
            continue
        for character in text:
            width = get_character_cell_size(character)
            if width:
                cells += [(character, style), ("", style)][:width]
            elif cells:  # it belongs to the character before
                at = -1 if cells[-1][0] or len(cells) == 1 else -2
                cells[at] = (cells[at][0] + character, cells[at][1])
    return cells


class ScreenCells:
    """A screen of cells: the one that is wanted, and the one that the terminal shows as far as that is known."""

    def __init__(self, width: int, height: int) -> None:
        """Args: columns and lines; nothing is known of the terminal, and nothing is wanted yet."""
        self.width, self.height = width, height
        self._wanted: list[list[Cell]] = [[_UNKNOWN] * width for _ in range(height)]
        self._shown: list[list[Cell]] = [[_UNKNOWN] * width for _ in range(height)]
        self._touched: set[int] = set()

    def forget_shown(self) -> None:
        """Know nothing of what the terminal shows: it was resized, or something else wrote to it."""
        self._shown = [[_UNKNOWN] * self.width for _ in range(self.height)]
        self._touched = set(range(self.height))

    def want(self, x: int, y: int, segments: Iterable[Segment]) -> None:
        """Put a stretch of a line where it is wanted; what lies outside the screen is left out."""
        if not 0 <= y < self.height or x >= self.width:
            return
        line, room = self._wanted[y], self.width - x
        cells = cells_of(segments)
        if len(cells) > room:
            cells = [*cells[: room - 1], cells[room - 1] if cells[room][0] else _BLANK]
        end = x + len(cells)
        if line[x:end] == cells:
            return
        if cells and x and not line[x][0] and cells[0][0]:  # it stood over the second half of a wide character
            line[x - 1] = _BLANK
        if end < self.width and not line[end][0]:
            line[end] = _BLANK
        line[x:end] = cells
        self._touched.add(y)

    def changes(self) -> list[Change]:
        """What has to be written so that the terminal shows what is wanted; it counts as shown from then on."""
        found: list[Change] = []
        for y in sorted(self._touched):
            wanted, shown = self._wanted[y], self._shown[y]
            for start, end in _stretches(wanted, shown):
                found.append(Change(start, y, tuple(_segments(wanted[start:end]))))
            self._shown[y] = wanted.copy()
        self._touched.clear()
        return found


def _stretches(wanted: Sequence[Cell], shown: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """Where cells differ, from the first to behind the last; stretches that are close to each other are one."""
    start = end = -1
    for at, (new, old) in enumerate(zip(wanted, shown, strict=True)):
        if new is old or new == old or new is _UNKNOWN:
            continue
        if start >= 0 and at - end > _BRIDGE:
            yield _whole(wanted, start, end)
            start = -1
        start, end = (at if start < 0 else start), at + 1
    if start >= 0:
        yield _whole(wanted, start, end)


def _whole(wanted: Sequence[Cell], start: int, end: int) -> tuple[int, int]:
    """The stretch with no wide character cut in half."""
    while start > 0 and not wanted[start][0]:
        start -= 1
    while end < len(wanted) and not wanted[end][0]:
        end += 1
    return start, end


def _segments(cells: Sequence[Cell]) -> Iterator[Segment]:
    """Cells as text again, one segment for each style."""
    text, style = "", cells[0][1]
    for character, own in cells:
        if own is not style and own != style:
            yield Segment(text, style)
            text, style = "", own
        text += character
    yield Segment(text, style)
