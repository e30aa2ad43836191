"""The table of a comparison as lines of a width: which columns fit, and what stands in each. Pure."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len

from simclr_tui.compare.settings import DIFFERENT
from simclr_tui.compare.table import BEST, Cell, Comparison, Group, Line
from simclr_tui.format import fit
from simclr_tui.theme import MUTED
from simclr_tui.words import Part

_LONGEST_NAME, _SHORT_NAME, _SHORTEST_NAME = 34, 24, 10
_WIDEST_COLUMN, _NARROWEST_COLUMN = 26, 14
_GAP = 2
_BEST_STYLE, _TITLE_STYLE = "bold $success", "bold $primary"

Row = list[Part]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A table that is laid out for a width; where not all runs fit, the first stays and the others are paged."""

    comparison: Comparison
    width: int
    unfolded: bool = False
    """Whether the equal settings are shown too."""
    cursor: int | None = None
    """Place of the highlighted run, which is among those that are shown."""

    @property
    def room(self) -> int:
        """Columns that there is room for; where not all of them fit, names are shortened so that more do."""
        return max(2, self._room(tight=self._is_tight))

    def _room(self, *, tight: bool) -> int:
        return (self.width - self._names(tight=tight)) // self._column(tight=tight)

    @cached_property
    def _is_tight(self) -> bool:
        return self._room(tight=False) < len(self.comparison.headings)

    @property
    def whole_width(self) -> int | None:
        """Cells that all runs take beside each other; None where they don't fit unshortened."""
        if self._is_tight:
            return None
        return self._name_width + self._column_width * len(self.comparison.headings)

    @property
    def visible(self) -> list[int]:
        """Places of the runs that are shown: the first one, and the page on which the highlighted one is."""
        count, room = len(self.comparison.headings), self.room
        if count <= room:
            return list(range(count))
        page = (max(1, self.cursor or 0) - 1) // (room - 1)
        first = 1 + page * (room - 1)
        return [0, *range(first, min(count, first + room - 1))]

    @property
    def place(self) -> str:
        """Which runs are shown, where those are not all."""
        shown, count = self.visible, len(self.comparison.headings)
        if len(shown) == count:
            return ""
        others = f"{shown[1] + 1}" if len(shown) == 2 else f"{shown[1] + 1}–{shown[-1] + 1}"
        return f"runs 1 and {others} of {count}"

    @cached_property
    def _groups(self) -> list[Group]:
        return self.comparison.shown(unfolded=self.unfolded)

    @cached_property
    def _marks(self) -> dict[str, str]:
        return self.comparison.marks

    def _names(self, *, tight: bool) -> int:
        """Room for the names of the rows."""
        names = [f"{line.title} {self._marks.get(line.note, '')}" for group in self._groups for line in group.lines]
        most = max(_SHORTEST_NAME, min(_SHORT_NAME, self.width - 2 * _NARROWEST_COLUMN)) if tight else _LONGEST_NAME
        return min(most, max(map(cell_len, names), default=0))

    @cached_property
    def _name_width(self) -> int:
        return self._names(tight=self._is_tight)

    @cached_property
    def _widths(self) -> tuple[int, int]:
        """Cells of a value with its sign, and of a delta."""
        cells = [cell for group in self.comparison.groups for line in group.lines for cell in line.cells]
        delta = max((cell_len(cell.delta) for cell in cells), default=0)
        numbers = [cell for cell in cells if isinstance(cell.value, int | float)]
        value = max((cell_len(_value(cell)) for cell in numbers), default=0)
        return value, delta + 1 if delta else 0

    def _column(self, *, tight: bool) -> int:
        """Room of a column: for its numbers, and as far as there is room for the run's name; words may be cut."""
        names = max(cell_len(one.name) + 4 for one in self.comparison.headings)
        wanted = _GAP + max(sum(self._widths), 0 if tight else min(names, _WIDEST_COLUMN - _GAP))
        wanted = max(_NARROWEST_COLUMN, min(_WIDEST_COLUMN, wanted))
        return min(wanted, max(1, (self.width - self._names(tight=tight)) // 2)) if tight else wanted

    @cached_property
    def _column_width(self) -> int:
        return self._column(tight=self._is_tight)

    def heading(self) -> Row:
        """The runs' names above their columns."""
        parts: Row = [fit("", self._name_width)]
        for place in self.visible:
            one = self.comparison.headings[place]
            sign = "▸" if place == self.cursor else " "
            text = fit(f"{sign}{one.sign} {one.name}", self._column_width - 1)
            parts += [" ", (text, f"bold ${one.ink}" + (" reverse" if place == self.cursor else ""))]
        return parts

    def body(self) -> Iterator[Row]:
        """Every row below it."""
        for number, group in enumerate(self._groups):
            if number:
                yield [""]
            yield [(fit(group.title, self.width).rstrip(), _TITLE_STYLE)]
            for text in textwrap.wrap(group.remark, self.width):
                yield [(text, MUTED)]
            is_settings = group.title == DIFFERENT
            for line in group.lines:
                yield self._line(line, fades=is_settings)
            if is_settings and not self.unfolded:
                yield [(fit(self.comparison.folded, self.width).rstrip(), MUTED)]
        yield from self._notes()

    def _notes(self) -> Iterator[Row]:
        for number, (note, mark) in enumerate(self._marks.items()):
            if not number:
                yield [""]
            for text in textwrap.wrap(f"{mark} {note}", max(12, self.width), subsequent_indent="  "):
                yield [(text, MUTED)]

    def _line(self, line: Line, *, fades: bool) -> Row:
        """A row; with `fades` what is as in the first run steps back."""
        mark = self._marks.get(line.note, "")
        name = _shortened(line.title, self._name_width - (cell_len(mark) + 1 if mark else 0))
        parts: Row = [fit(f"{name} {mark}".rstrip(), self._name_width)]
        for place in self.visible:
            same = fades and place > 0 and line.cells[place].text == line.cells[0].text
            parts += self._cell(line.cells[place], style=MUTED if same else "")
        return parts

    def _cell(self, cell: Cell, style: str) -> Row:
        value, _ = self._widths
        room = self._column_width - _GAP
        if not isinstance(cell.value, int | float) or isinstance(cell.value, bool):
            text = cell.text if cell_len(cell.text) <= value else fit(cell.text, room).rstrip()
            return [" " * _GAP, (_left(text, value, room), style)]
        text = _value(cell).rjust(min(value, room))
        return [
            " " * _GAP,
            (fit(text, min(value, room)), _BEST_STYLE if cell.is_best else style),
            (fit(f" {cell.delta}", max(0, room - value)), MUTED),
        ]


def _left(text: str, value: int, room: int) -> str:
    """Words end where numbers do, if they are as short; what they leave is blank."""
    short = cell_len(text) <= value - 2
    return fit(f"{text}  ".rjust(value) if short else text, room)


def _value(cell: Cell) -> str:
    """A number with room for the sign of the best, so that the digits of a column stand below each other."""
    at = f"@{cell.epoch}" if cell.epoch is not None else ""
    return f"{cell.text}{at}{f' {BEST}' if cell.is_best else '  '}"


def _shortened(name: str, width: int) -> str:
    """A name without its middle where it is too long: its end tells rows apart."""
    if cell_len(name) <= width:
        return name
    kept = max(1, width // 2)
    return f"{fit(name[: len(name) - kept], width - kept).rstrip()}{name[len(name) - kept :]}"


def plain(row: Sequence[Part]) -> str:
    """A row without its styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in row).rstrip()
