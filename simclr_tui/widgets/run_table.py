"""The list of runs: one row a run, drawn line by line, so that a thousand runs cost no more than a screenful."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from simclr_tui.charts.drawn import run_sign
from simclr_tui.format import HEALTH_SIGNS, bar, fit
from simclr_tui.model import RunRow
from simclr_tui.run_list.columns import COLUMNS, Column
from simclr_tui.run_list.listing import Heading, Line, RunLine, fitting
from simclr_tui.theme import RUN_COLOURS
from trainer.state import STATES

_BEFORE_NAME = 3
"""Cells of the cursor, the run's sign and the pin."""
_BAR_WIDTH = 4
_DEEPEST = 3
"""Forks of forks are indented no further."""
_TOLD = ("warning", "sick")
"""Levels of health that have a sign behind the run's name; the others are nothing to look after."""
_FEWEST_TAG_CELLS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What the list shows."""

    lines: Sequence[Line] = ()
    columns: Sequence[Column] = ()
    sort: str | None = None
    is_descending: bool = False
    cursor_id: str | None = None
    marked: frozenset[str] = frozenset()
    empty: str = ""
    """Said where there is no run."""

    def is_same(self, other: "Table") -> bool:
        """Whether the other one looks the same; lines that are equal but new count as others."""
        mine = (self.columns, self.sort, self.is_descending, self.cursor_id, self.marked, self.empty)
        others = (other.columns, other.sort, other.is_descending, other.cursor_id, other.marked, other.empty)
        return self.lines is other.lines and mine == others


class RunTable(ScrollView, can_focus=False):
    """Rows of runs with a cursor and marks; the screen moves the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--heading",
        "run-table--group",
        "run-table--cursor",
        "run-table--empty",
        "run-table--faint",
        "run-table--bar",
        *(f"run-table--{level}" for level in _TOLD),
        *(f"run-table--{state}" for state in STATES),
        *(f"run-table--run-{number}" for number in range(RUN_COLOURS)),
    }

    class Chosen(Message):
        """A row was clicked."""

        def __init__(self, run_id: str) -> None:
            """Args: the run's id."""
            super().__init__()
            self.run_id = run_id

    class HeadingChosen(Message):
        """The heading of a column was clicked."""

        def __init__(self, column_id: str) -> None:
            """Args: the column's id."""
            super().__init__()
            self.column_id = column_id

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._table = Table()
        self._places: Mapping[str, int] = {}
        self._followed: tuple[str | None, int] = (None, 0)

    def show(self, table: Table) -> None:
        """Show these lines."""
        if self._table.is_same(table):
            return
        if table.lines is not self._table.lines:
            self._places = {
                line.row.run.id: place for place, line in enumerate(table.lines) if isinstance(line, RunLine)
            }
        self._table = table
        self._measure()
        at = self._places.get(table.cursor_id or "")
        if at is not None and (table.cursor_id, at) != self._followed:  # else the mouse wheel may look elsewhere
            first = at - 1 if at and isinstance(table.lines[at - 1], Heading) else at
            self.scroll_to_region(Region(0, first, 1, at - first + 2), animate=False, force=True)
            self._followed = (table.cursor_id, at)
        self.refresh()

    @property
    def left_out(self) -> int:
        """Columns that there is no room for."""
        return len(self._table.columns) - len(self._fitting()[0])

    def _measure(self) -> None:
        size = Size(self.scrollable_content_region.width, len(self._table.lines) + 1)
        if size != self.virtual_size:
            self.virtual_size = size

    def _fitting(self) -> tuple[list[tuple[Column, int]], int]:
        """The columns with their widths, and the width of the name."""
        return fitting(self._table.columns, self.scrollable_content_region.width - _BEFORE_NAME, self._table.sort)

    def on_resize(self) -> None:
        """Never be wider than the pane."""
        self._measure()

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse, or the column whose heading is under it."""
        if event.y == 0:
            self.post_message(self.HeadingChosen(self._column_at(event.x)))
            return
        number = event.y + self.scroll_offset.y - 1
        line = self._table.lines[number] if 0 <= number < len(self._table.lines) else None
        if isinstance(line, RunLine):
            self.post_message(self.Chosen(line.row.run.id))

    def _column_at(self, x: int) -> str:
        columns, name_width = self._fitting()
        end = _BEFORE_NAME + name_width
        for one, width in columns:
            if x >= end + 1 + width:
                end += 1 + width
            elif x > end:
                return one.id
        return "run"

    def render_line(self, y: int) -> Strip:
        """The heading, which stays, or a run, or the heading of a group."""
        width = self.scrollable_content_region.width
        if y == 0:
            return Strip([Segment(fit(self._heading(), width), self._style("heading"))])
        number = y - 1 + self.scroll_offset.y
        lines = self._table.lines
        if number < len(lines):
            line = lines[number]
            if isinstance(line, RunLine):
                return self._run_strip(line, width)
            words = line.words if cell_len(line.words) + 2 <= width else line.short_words
            return Strip([Segment(fit(f"─ {words}", width), self._style("group"))])
        if not lines and y == 2:
            return Strip([Segment(fit(f"  {self._table.empty}", width), self._style("empty"))])
        return Strip.blank(width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-table--{name}")

    def _heading(self) -> str:
        columns, name_width = self._fitting()
        cells = [
            _signed(one, self._table).rjust(width)
            if one.is_right and one.id != "done"
            else fit(_signed(one, self._table), width)
            for one, width in columns
        ]
        return " ".join([" " * (_BEFORE_NAME - 1), fit(_signed(COLUMNS["run"], self._table), name_width), *cells])

    def _run_strip(self, line: RunLine, width: int) -> Strip:
        row, table = line.row, self._table
        columns, name_width = self._fitting()
        is_cursor, is_marked = row.run.id == table.cursor_id, row.run.id in table.marked
        base = self._style("cursor") if is_cursor else self.rich_style
        sign = run_sign(row) if is_cursor or is_marked else " "
        is_faint = row.labels.is_hidden
        told = base + _ink(self._style("faint")) if is_faint else base
        segments = [
            Segment("▸" if is_cursor else " ", base),
            Segment(sign, base + _ink(self._style(f"run-{row.look % RUN_COLOURS}"))),
            Segment("*" if row.labels.is_pinned else " ", base + Style(bold=True)),
            *self._name_cell(line, name_width, told + Style(bold=is_cursor), base),
            self._health(row, base),
        ]
        now = time.time()
        for number, (one, cells) in enumerate(columns):
            segments += [Segment(" ", base)] if number else []
            segments += self._cell(one, row, cells, now, told, is_faint=is_faint)
        return Strip(segments).adjust_cell_length(width, base)

    def _name_cell(self, line: RunLine, width: int, style: Style, base: Style) -> list[Segment]:
        """The run's name and, where there is room, what it was put away as or its tags."""
        row = line.row
        name = _branch(line.depth) + row.run.name
        room = width - cell_len(name) - 1
        words = "trashed" if row.labels.trashed_at is not None else "archived" if row.labels.is_archived else ""
        if not words and not any(one.id == "tags" for one in self._table.columns):
            words = " ".join(f"#{tag}" for tag in row.labels.tags)
        elif words and room < len(words):  # the word matters more than the end of the name
            name, room = fit(name, max(1, width - len(words) - 1)), len(words)
        if not words or room < min(_FEWEST_TAG_CELLS, cell_len(words)):
            return [Segment(fit(name, width), style)]
        return [Segment(f"{name} ", style), Segment(fit(words, room), base + _ink(self._style("faint")))]

    def _cell(self, one: Column, row: RunRow, width: int, now: float, base: Style, *, is_faint: bool) -> list[Segment]:
        text = one.cell(row, now)
        if one.id == "done":
            ink = base if is_faint else base + _ink(self._style("bar"))
            return [
                Segment(bar(row.progress or 0.0, _BAR_WIDTH), ink),
                Segment(fit(text.rjust(width - _BAR_WIDTH), width - _BAR_WIDTH), base),
            ]
        if is_faint:
            style = base
        elif one.id == "state":
            style = base + _ink(self._style(row.state))
        elif one.id == "health" and row.run.health_level in _TOLD:
            style = base + _ink(self._style(row.run.health_level))
        else:
            style = base
        return [Segment(fit(text.rjust(width) if one.is_right else text, width), style)]

    def _health(self, row: RunRow, base: Style) -> Segment:
        """The sign of a run that is not well."""
        level = row.run.health_level or ""
        if level not in _TOLD:
            return Segment(" ", base)
        return Segment(HEALTH_SIGNS[level], base + _ink(self._style(level)))


def _signed(one: Column, table: Table) -> str:
    """The heading of a column, with a sign where runs are sorted by it."""
    return one.heading + (("▼" if table.is_descending else "▲") if one.id == table.sort else "")


def _branch(depth: int) -> str:
    """What stands before the name of a fork that is shown below its parent."""
    return " " * (min(depth, _DEEPEST) - 1) + "└ " if depth else ""


def _ink(style: Style) -> Style:
    """Only the foreground of a style, to lay over the row's background."""
    return Style(color=style.color, bold=style.bold)
