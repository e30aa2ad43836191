"""The main screen: the runs at the left, the cursor's run at the right, what happened last below."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from simclr_tui.board import Board
from simclr_tui.braille import CELL_WIDTH
from simclr_tui.messages import Polled, PollFailed
from simclr_tui.screens.bench_controls import BenchControls
from simclr_tui.screens.chart_controls import ChartControls
from simclr_tui.screens.controls import RunControls
from simclr_tui.screens.group import GroupControls
from simclr_tui.screens.line import LineControls
from simclr_tui.screens.list_controls import ListControls
from simclr_tui.verbs import useful
from simclr_tui.widgets.chart_grid import ChartGrid
from simclr_tui.widgets.event_log import EventLog
from simclr_tui.widgets.facts import RunFacts
from simclr_tui.widgets.header import Header
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.widgets.run_table import RunTable
from simclr_tui.widgets.summary import RunSummary
from trainer.store.records import Event

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_EVENTS_KEPT = 500
_NARROW, _WIDE = 100, 161
_NEVER_LEFT_OUT = ("new_run", "pause", "resume", "stop", "open", "learning", "benchmark")
"""Keys that the footer names first, so that a narrow terminal keeps them, with help and quit."""

_OF_TRAINING = ("mark", "fork", "evaluate", "learning", "log", "x_axis", "chart(-1)", "chart(1)")
"""Keys that do nothing to a benchmark."""

_FEWEST_COLUMNS = 60
"""Read before the charts have a size."""


class MainScreen(RunControls, GroupControls, LineControls, BenchControls, ListControls, ChartControls, Screen[None]):
    """Shows a board; every key changes the board or asks the actions for something."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (_NARROW, "-normal"), (_WIDE, "-wide")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        *RunControls.KEYS,
        *GroupControls.KEYS,
        *LineControls.KEYS,
        *BenchControls.KEYS,
        *ListControls.KEYS,
        *ChartControls.KEYS,
        Binding("enter", "open", "open", id="run.open", tooltip="Give the run the whole screen, or go back"),
        Binding("tab", "open", "run or list", show=False, id="run.switch", tooltip="Change between list and run"),
        Binding("escape", "back", "back", show=False, id="back", tooltip="Close the run, or clear the filter"),
    ]

    AUTO_FOCUS = ""

    def __init__(self) -> None:
        """An empty board; the first poll fills it."""
        super().__init__()
        self.board = Board()
        self._events: list[Event] = []
        self._is_read = False

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the feed and the actions."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """The frame."""
        yield Header(self.dashboard.runs, id="header")
        with Container(id="body"):
            with Vertical(id="left"):
                yield RunTable(id="runs")
                yield Input(placeholder="name, state, preset, id", id="filter", compact=True)
            with Vertical(id="run"):
                yield RunSummary(id="summary")
                yield ChartGrid(id="charts")
            yield EventLog(id="events")
            yield RunFacts(id="facts")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Nothing takes the focus: every key is the screen's own."""
        self.board.awaited_id = self.dashboard.select
        self.show_board()

    def on_resize(self) -> None:
        """What is read follows the width, and so do the keys that are named."""
        self.call_after_refresh(self.show_board)

    def take(self, message: Polled) -> None:
        """Show what was read."""
        header = self.query_one(Header)
        header.polled_at, header.problem, header.device = message.at, "", message.device
        header.free_bytes = message.free_bytes
        is_first, self._is_read = not self._is_read, True
        if message.rows is not None:
            self.board.take_rows(message.rows)
            header.rows = message.rows
        header.show()
        self.board.take_curves(message.curves)
        self.board.learning = message.learning or self.board.learning
        self._events = (self._events + list(message.events))[-_EVENTS_KEPT:]
        if is_first or message.rows is not None or message.curves or message.events:
            self.show_board()
        if message.benchmark is not None:
            self.board.benchmark = message.benchmark
            self.show_digest()
        if self.benchmark_screen is not None and (message.rows is not None or message.benchmark is not None):
            self.benchmark_screen.show_bench()
        if self.learning_screen is not None and (message.rows is not None or message.curves or message.learning):
            self.learning_screen.show_look()

    def take_failure(self, message: PollFailed) -> None:
        """Keep the last picture and say why there is no newer one."""
        header = self.query_one(Header)
        header.problem = message.reason
        header.show()

    def choose(self, run_id: str) -> None:
        """Put the cursor on a run, also on one that the next poll will bring."""
        self.board.filter = ""
        self.board.awaited_id = run_id

    def show_board(self) -> None:
        """Bring every widget up to date with the board."""
        board, drawn = self.board, self.board.drawn
        self._show_table()
        self.query_one(RunSummary).drawn = drawn
        charts = self.query_one(ChartGrid)
        charts.show(drawn, board.view)
        facts = self.query_one(RunFacts)
        facts.row, facts.curves = board.cursor, drawn[0].curves if board.cursor else None
        facts.forked_from = board.row_of(board.cursor.run.parent_run_id) if board.cursor else None
        self.show_digest()
        self._show_events()
        self._show_keys()
        self.dashboard.feed.watch(board.watched(max(_FEWEST_COLUMNS, CELL_WIDTH * charts.chart_width)))

    def _show_table(self) -> None:
        board, left = self.board, self.query_one("#left")
        visible = board.visible
        if not self._is_read:
            empty = "reading the store"
        elif board.rows:
            empty = "no run matches; esc clears the filter"
        else:
            empty = "no run yet; n makes the first one"
        self.query_one(RunTable).show(visible, cursor_id=board.cursor_id, marked=frozenset(board.marked), empty=empty)
        total = f"{len(visible)} of {len(board.rows)}" if board.filter else str(len(board.rows))
        parts: list[str | tuple[str, str]] = [("runs", "bold"), f"  {total}"]
        if board.filter:
            parts += ["  ", (f"filter: {board.filter}", "$accent")]
        left.border_title = Content.assemble(*parts)

    def _show_events(self) -> None:
        log = self.query_one(EventLog)
        log.names = {row.run.id: row.run.name for row in self.board.rows}
        drawn = self.board.drawn
        log.events = list(drawn[0].curves.events) if self.is_open and drawn else self._events

    def _show_keys(self) -> None:
        state = self.board.cursor.state if self.board.cursor else None
        own = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show and self._matters(b, state)]
        general = [b for b in self.app.BINDINGS if isinstance(b, Binding)]
        own = [replace(b, description="back") if b.action == "open" and self.is_open else b for b in own]
        steps = [b for b in own if b.action.startswith("chart(")]
        first = [b for b in own if b.action in _NEVER_LEFT_OUT] + [b for b in general if b.action in ("help", "quit")]
        last = [b for b in own if b.action in ("log", "x_axis")]
        rest = [b for b in own + general if b not in steps + first + last]
        self.query_one(KeyLine).keys = [*steps, *first, *rest, *last]

    def _matters(self, binding: Binding, state: str | None) -> bool:
        """Whether a key is worth naming now."""
        if self.has_class("-benchmark") and binding.action in _OF_TRAINING:
            return False
        waits = self.board.cursor is not None and self.board.cursor.turn is not None
        if binding.action in ("resume", "learning") and waits:
            return False  # it starts by itself, and the keys of the line need the room
        if binding.action in ("pause", "resume", "stop"):
            return useful(binding.action, state)
        if binding.action.startswith("group("):
            verb = binding.action.split("'")[1]
            return any(useful(verb, row.state) for row in self.board.marked_rows)
        if binding.action.startswith("line("):
            return waits
        if binding.action == "line_up":
            return useful("resume", state) and not waits
        if binding.action in ("mark", "open", "fork", "evaluate", "learning", "log", "x_axis"):
            return state is not None
        return not binding.action.startswith("chart(") or (self.has_class("-narrow") and self.is_open)

    @property
    def is_open(self) -> bool:
        """Whether the cursor's run has the whole screen."""
        return self.has_class("-open")

    def action_open(self) -> None:
        """Give the run the whole screen, or go back."""
        if self.board.cursor is not None or self.is_open:
            self.toggle_class("-open")
            self.call_after_refresh(self.show_board)

    def action_back(self) -> None:
        """Close what is open, else clear the filter."""
        if self.query_one("#filter").has_class("-shown"):
            self.close_filter()
            self.query_one("#filter", Input).value = ""
        elif self.is_open:
            self.action_open()
        else:
            self.query_one("#filter", Input).value = ""
