"""One chart on the whole screen: its curves, the figures of every run at the cursor, and its marks in words."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from simclr_tui.board import Board
from simclr_tui.charts.reading import fitting
from simclr_tui.charts.reading_table import mark_words, reading_lines
from simclr_tui.plot.braille import CELL_WIDTH
from simclr_tui.screens.chart_controls import ChartControls
from simclr_tui.theme import MUTED
from simclr_tui.widgets.chart_grid import ChartGrid
from simclr_tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_FEWEST_COLUMNS = 60
"""Read before the chart has a size."""

_NAMED = (
    "chart.leave",
    "charts.previous",
    "charts.next",
    "charts.read-left",
    "charts.read-right",
    "charts.closer",
    "charts.further",
    "charts.whole",
    "charts.smoothing",
    "charts.log",
    "charts.axis",
    "charts.earlier",
    "charts.later",
    "charts.choose",
)
"""Ids of the keys in the order in which they are named, as far as there is room."""

_MOST_READINGS = 3
"""The part of the screen that readings have at most, as a divisor of its height."""


class ChartFullScreen(ChartControls, Screen[None]):
    """Shows the board's drawn runs in one chart."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(one for one in ChartControls.KEYS if isinstance(one, Binding) and one.id != "charts.full"),
        Binding("escape", "back", "back", id="chart.back", tooltip="Take the cursor away, or close the chart"),
        Binding("z", "leave", "grid", id="chart.leave", tooltip="Back to the other charts"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, board: Board, current: str) -> None:
        """Args: what is shown, shared with the screen below, and the id of the chart to begin with."""
        super().__init__()
        self.board = board
        self.current = current
        """The id of the chart that is shown."""

    @property
    def dashboard(self) -> "DashboardApp":
        """The app."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """Which runs, the chart, its figures, its marks, the keys."""
        yield Static(id="title")
        yield ChartGrid(id="charts", is_single=True, current=self.current)
        yield Static(id="readings")
        yield Static(id="marks")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Begin at the chart that had the keys below."""
        self.show_board()
        own = {one.id: one for one in self.BINDINGS if isinstance(one, Binding)}
        self.query_one(KeyLine).keys = [own[name] for name in _NAMED]

    def on_resize(self) -> None:
        """Figures follow the width."""
        self.call_after_refresh(self.charts_turned)

    def show_board(self) -> None:
        """Bring the chart up to date with the board."""
        self.show_charts()
        self.charts_turned()
        self.dashboard.feed.watch(self.board.watched(max(_FEWEST_COLUMNS, CELL_WIDTH * self.chart_width)))

    def read_at(self, cursor: float | None) -> None:
        """Read values at a place, in the table too."""
        super().read_at(cursor)
        self.charts_turned()

    def charts_turned(self) -> None:
        """Bring what stands around the chart up to date with it."""
        drawn, view, grid = self.board.drawn, self.board.view, self.chart_grid
        if grid is None:
            return
        self.current = grid.current
        width = max(1, self.size.width - 2)
        legend = fitting([(f"{one.sign} {one.row.run.name}", f"${one.ink}") for one in drawn], width)
        self.query_one("#title", Static).update(Content("  ").join(Content.assemble(part) for part in legend))
        data = grid.charts[0].data if grid.charts else None
        lines = reading_lines(data, drawn, view, width) if data else []
        room = max(2, self.size.height // _MOST_READINGS)
        if len(lines) > room:
            lines = [*lines[: room - 1], [(f"  +{len(lines) - room + 1} more", MUTED)]]
        table = Content("\n").join(Content.assemble(*line) for line in lines)
        self.query_one("#readings", Static).update(table)
        self.query_one("#readings").display = bool(lines)
        words = mark_words(data, view) if data else ""
        marks = self.query_one("#marks", Static)
        marks.update(Content.assemble(("marks  ", MUTED), words).truncate(width, ellipsis=True))
        marks.display = bool(words)

    def action_back(self) -> None:
        """Take the cursor away, or close the chart."""
        if not self.drop_cursor():
            self.action_leave()

    def action_leave(self) -> None:
        """Back to the other charts."""
        self.dismiss()
