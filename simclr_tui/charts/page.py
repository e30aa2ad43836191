"""How many charts there is room for, and which of them a page holds. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

NARROW, WIDE = 100, 161
"""Below and from so many cells of the screen on there are one and three columns, else two."""

_FEWEST_ROWS = 9
"""Of a chart, with its border."""
_LOWEST_ROWS = 7
"""Of one that has others beside it, as long as there are no more than _MOST_LOW of them above each other."""
_MOST_LOW = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns and rows of charts."""

    columns: int
    rows: int

    @classmethod
    def fitting(cls, screen_width: int, height: int, count: int) -> "Layout":
        """What a screen of that width has room for in so many rows of text, and no more than so many charts need."""
        columns = 1 if screen_width < NARROW else 3 if screen_width >= WIDE else 2
        low = min(_MOST_LOW, height // _LOWEST_ROWS) if columns > 1 else 1
        room = max(1, height // _FEWEST_ROWS, low)
        return cls(columns, min(room, max(1, math.ceil(count / columns))))

    @property
    def size(self) -> int:
        """Charts of a page."""
        return self.columns * self.rows

    def page(self, at: int, count: int) -> slice:
        """The charts of the page that holds one."""
        first = at // self.size * self.size
        return slice(first, min(count, first + self.size))

    def trimmed(self, count: int) -> "Layout":
        """Without the columns and rows that so many charts leave empty."""
        columns = max(1, min(self.columns, count))
        return Layout(columns, max(1, math.ceil(count / columns)))


def page_words(page: Sequence[str], charts: Sequence[str]) -> list[str]:
    """Which charts are shown, if not all of them are."""
    if len(page) >= len(charts):
        return []
    first = charts.index(page[0]) + 1
    last = first + len(page) - 1
    return [f"chart{'s' * (last > first)} {f'{first}–{last}' if last > first else first} of {len(charts)}"]
