"""The list of runs: one row a run, drawn line by line, so that a thousand runs cost no more than a screenful."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from simclr_tui.drawn import run_sign
from simclr_tui.format import HEALTH_SIGNS, UNKNOWN, bar, fit, number, percent
from simclr_tui.model import RunRow, depths
from simclr_tui.theme import RUN_COLOURS
from trainer.state import STATES

_STATE_WIDTH = max(map(len, STATES))
_BAR_WIDTH = 4
_EXTRA_WIDTH = 70
"""From this width on there is room for epoch and loss."""
_DEEPEST = 3
"""Forks of forks are indented no further."""
_TOLD = ("warning", "sick")
"""Levels of health that have a sign behind the run's name; the others are nothing to look after."""


class RunTable(ScrollView, can_focus=False):
    """Rows of runs with a cursor and marks; the screen moves the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--heading",
        "run-table--cursor",
        "run-table--empty",
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

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._rows: Sequence[RunRow] = ()
        self._depths: Sequence[int] = ()
        self._cursor_id: str | None = None
        self._marked: frozenset[str] = frozenset()
        self._empty = ""
        self._followed: tuple[str | None, int] = (None, 0)

    def show(self, rows: Sequence[RunRow], *, cursor_id: str | None, marked: frozenset[str], empty: str) -> None:
        """Show these runs; `empty` is said where there is none."""
        self._rows, self._cursor_id, self._marked, self._empty = rows, cursor_id, marked, empty
        self._depths = depths(rows)
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows) + 1)
        at = next((number for number, row in enumerate(rows) if row.run.id == cursor_id), None)
        if at is not None and (cursor_id, at) != self._followed:  # else the mouse wheel may look elsewhere
            self.scroll_to_region(Region(0, at, 1, 2), animate=False, force=True)
            self._followed = (cursor_id, at)
        self.refresh()

    def on_resize(self) -> None:
        """Never be wider than the pane."""
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows) + 1)

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse."""
        number = event.y + self.scroll_offset.y - 1
        if event.y > 0 and 0 <= number < len(self._rows):
            self.post_message(self.Chosen(self._rows[number].run.id))

    def render_line(self, y: int) -> Strip:
        """The heading, which stays, or a run."""
        width = self.scrollable_content_region.width
        if y == 0:
            return Strip([Segment(fit(self._heading(width), width), self._style("heading"))])
        number = y - 1 + self.scroll_offset.y
        if number < len(self._rows):
            return self._run_strip(self._rows[number], width, self._depths[number])
        if not self._rows and y == 2:
            return Strip([Segment(fit(f"  {self._empty}", width), self._style("empty"))])
        return Strip.blank(width, self.rich_style)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"run-table--{name}")

    def _name_width(self, width: int) -> int:
        extra = 18 if width >= _EXTRA_WIDTH else 0
        return max(6, width - 3 - (_STATE_WIDTH + 1) - (_BAR_WIDTH + 6) - 5 - extra)

    def _heading(self, width: int) -> str:
        extra = f" {'epoch':>8} {'loss':>8}" if width >= _EXTRA_WIDTH else ""
        progress = "done".ljust(_BAR_WIDTH + 5)
        return f"   {fit('run', self._name_width(width))} {fit('state', _STATE_WIDTH)} {progress}{extra}  kNN"

    def _run_strip(self, row: RunRow, width: int, depth: int) -> Strip:
        is_cursor, is_marked = row.run.id == self._cursor_id, row.run.id in self._marked
        base = self._style("cursor") if is_cursor else self.rich_style
        sign = run_sign(row) if is_cursor or is_marked else " "
        progress = row.progress
        done = UNKNOWN.rjust(4) if progress is None else f"{100 * progress:3.0f}%"
        extra = ""
        if width >= _EXTRA_WIDTH:
            epochs = UNKNOWN if row.run.epoch is None else f"{row.run.epoch}/{row.total_epochs or UNKNOWN}"
            extra = f" {epochs:>8} {number(row.run.loss):>8}"
        segments = [
            Segment("▸" if is_cursor else " ", base),
            Segment(sign, base + _ink(self._style(f"run-{row.place % RUN_COLOURS}"))),
            Segment(f" {fit(_branch(depth) + row.run.name, self._name_width(width))}", base + Style(bold=is_cursor)),
            self._health(row, base),
            Segment(f"{fit(row.state, _STATE_WIDTH)} ", base + _ink(self._style(row.state))),
            Segment(bar(progress or 0.0, _BAR_WIDTH), base + _ink(self._style("bar"))),
            Segment(f" {done}{extra} {percent(row.run.knn_top1):>4}", base),
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _health(self, row: RunRow, base: Style) -> Segment:
        """The sign of a run that is not well."""
        level = row.run.health_level or ""
        if level not in _TOLD:
            return Segment(" ", base)
        return Segment(HEALTH_SIGNS[level], base + _ink(self._style(level)))


def _branch(depth: int) -> str:
    """What stands before the name of a fork that is shown below its parent."""
    return " " * (min(depth, _DEEPEST) - 1) + "└ " if depth else ""


def _ink(style: Style) -> Style:
    """Only the foreground of a style, to lay over the row's background."""
    return Style(color=style.color, bold=style.bold)
