"""The main screen: the runs at the left, the cursor's run at the right, what happened last below."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.widgets import Input, Static

from simclr_tui.board import Board
from simclr_tui.messages import Polled, PollFailed
from simclr_tui.outage import Outage
from simclr_tui.plot.braille import CELL_WIDTH
from simclr_tui.screens.bench_controls import BenchControls
from simclr_tui.screens.chart_controls import ChartControls
from simclr_tui.screens.comfort_controls import ComfortControls
from simclr_tui.screens.compare_controls import CompareControls
from simclr_tui.screens.controls import RunControls, can_be_asked, offer_checkpoints
from simclr_tui.screens.group import GroupControls
from simclr_tui.screens.label_controls import LabelControls
from simclr_tui.screens.launch_controls import LaunchControls
from simclr_tui.screens.line import LineControls
from simclr_tui.screens.list_controls import ListControls
from simclr_tui.screens.open_controls import OpenControls
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
_NEVER_LEFT_OUT = ("new_run", "pause", "resume", "stop", "open", "switch", "learning", "benchmark")
"""Keys that the footer names first, so that a narrow terminal keeps them, with help and quit."""

_OF_CHARTS = ("full_chart", "log", "x_axis", "choose_charts")
_OF_TRAINING = ("mark", "fork", "evaluate", "learning", *_OF_CHARTS, "chart(-1)", "chart(1)")
"""Keys that do nothing to a benchmark."""

_FEWEST_COLUMNS = 60
"""Read before the charts have a size."""


class MainScreen(
    RunControls,
    GroupControls,
    LineControls,
    BenchControls,
    LaunchControls,
    CompareControls,
    LabelControls,
    ListControls,
    ChartControls,
    ComfortControls,
    OpenControls,
    Screen[None],
):
    """Shows a board; every key changes the board or asks the actions for something."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (_NARROW, "-normal"), (_WIDE, "-wide")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        *RunControls.KEYS,
        *GroupControls.KEYS,
        *LineControls.KEYS,
        *BenchControls.KEYS,
        *LaunchControls.KEYS,
        *CompareControls.KEYS,
        *LabelControls.KEYS,
        *ListControls.KEYS,
        *ChartControls.KEYS,
        *ComfortControls.KEYS,
        *OpenControls.KEYS,
        Binding("escape", "back", "back", show=False, id="back", tooltip="Close the run, or clear the filter"),
    ]

    AUTO_FOCUS = ""

    def __init__(self) -> None:
        """An empty board; the first poll fills it."""
        super().__init__()
        self.board = Board()
        self._events: list[Event] = []
        self._is_read = False
        self._outage = Outage()

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
                yield Input(placeholder="state:running lr>1e-4 tag:baseline words", id="filter", compact=True)
                yield Static(id="filter-problem", markup=False)
            with Vertical(id="run"):
                yield RunSummary(id="summary")
                yield ChartGrid(id="charts")
            yield EventLog(id="events")
            yield RunFacts(id="facts")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Nothing takes the focus: every key is the screen's own."""
        self.restore_list()
        self.restore_charts()
        self.restore_layout()
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
        self._say(self._outage.over(message.at))
        if message.is_another_store:
            self._events = []
        if message.rows is not None:
            self.board.take_rows(message.rows)
            header.rows = message.rows
        header.show()
        self.board.take_curves(message.curves)
        self.board.learning = message.learning or self.board.learning
        self._events = (self._events + list(message.events))[-_EVENTS_KEPT:]
        self.board.opened = message.opened or self.board.opened
        if is_first or message.rows is not None or message.curves or message.events or message.opened is not None:
            self.show_board()
        if message.benchmark is not None:
            self.board.benchmark = message.benchmark
            self.show_digest()
        if self.benchmark_screen is not None and (message.rows is not None or message.benchmark is not None):
            self.benchmark_screen.show_bench()
        self.take_compared(message)
        if self.learning_screen is not None and (message.rows is not None or message.curves or message.learning):
            self.learning_screen.show_look()

        if self.run_screen is not None:
            self.run_screen.took(message)
        offer_checkpoints(self.app.screen, message.curves)

    def take_failure(self, message: PollFailed) -> None:
        """Keep the last picture and say why there is no newer one."""
        header = self.query_one(Header)
        header.problem = message.reason
        header.show()
        self._say(self._outage.failed(message.reason, time.time()), severity="warning")

    def _say(self, sentence: str | None, severity: Literal["information", "warning"] = "information") -> None:
        if sentence is not None:
            self.notify(sentence, severity=severity)

    def choose(self, run_id: str) -> None:
        """Put the cursor on a run, also on one that the next poll will bring, or the last one has brought before."""
        self.query_one("#filter", Input).value = ""
        self.board.set_filter("")
        self.board.go_to(run_id)
        self.show_board()

    def show_board(self) -> None:
        """Bring every widget up to date with the board, or the screen of a run, which hides them all."""
        if self.run_screen is not None:
            self.run_screen.show_board()
            return
        board, drawn = self.board, self.board.drawn
        self.show_list(is_read=self._is_read)
        self.query_one(RunSummary).drawn = drawn if board.cursor else []
        self.show_charts()
        facts = self.query_one(RunFacts)
        facts.row, facts.curves = board.cursor, drawn[0].curves if board.cursor else None
        facts.forked_from = board.row_of(board.cursor.run.parent_run_id) if board.cursor else None
        self.show_digest()
        self._show_events()
        self._show_keys()
        self.dashboard.feed.watch(board.watched(max(_FEWEST_COLUMNS, CELL_WIDTH * self.chart_width)))

    def _show_events(self) -> None:
        log = self.query_one(EventLog)
        log.names = {row.run.id: row.run.name for row in self.board.rows}
        drawn = self.board.drawn
        log.is_own = self.is_open and bool(drawn)
        log.events = list(drawn[0].curves.events) if log.is_own else self._events

    def _show_keys(self) -> None:
        state = self.board.cursor.state if self.board.cursor else None
        own = [b for b in self.BINDINGS if isinstance(b, Binding) and b.show and self._matters(b, state)]
        general = [b for b in self.app.BINDINGS if isinstance(b, Binding)]
        own = [replace(b, description="list") if b.action == "switch" and self.is_open else b for b in own]
        steps = [b for b in own if b.action.startswith("chart(")]
        first = [b for b in own if b.action in _NEVER_LEFT_OUT] + [b for b in general if b.action in ("help", "quit")]
        last = [b for b in own if b.action in _OF_CHARTS]
        rest = [b for b in own + general if b not in steps + first + last]
        self.query_one(KeyLine).keys = [*steps, *first, *rest, *last]

    def _matters(self, binding: Binding, state: str | None) -> bool:
        """Whether a key is worth naming now."""
        if self.has_class("-benchmark") and binding.action in _OF_TRAINING:
            return False
        waits = self.board.cursor is not None and self.board.cursor.turn is not None
        if binding.action in ("resume", "learning") and waits:
            return False  # it starts by itself, and the keys of the line need the room
        if binding.action in ("pause", "resume", "stop", "fork", "evaluate"):
            return self.board.cursor is not None and can_be_asked(binding.action, self.board.cursor)
        if binding.action.startswith("group("):
            verb = binding.action.split("'")[1]
            return any(useful(verb, row.state) for row in self.board.marked_rows)
        if binding.action.startswith("line("):
            return waits
        if binding.action == "switch":
            return state is not None and (self.is_open or self.has_class("-narrow"))
        if binding.action == "line_up":
            return useful("resume", state) and not waits
        if binding.action in ("mark", "open", "learning", "compare", *_OF_CHARTS):
            return state is not None
        return not binding.action.startswith("chart(") or (self.has_class("-narrow") and self.is_open)

    def action_back(self) -> None:
        """Close what is open, else clear the filter."""
        if self.query_one("#filter").has_class("-shown"):
            self.close_filter()
            self.query_one("#filter", Input).value = ""
        elif self.drop_cursor():
            return
        elif self.is_open:
            self.action_switch()
        else:
            self.query_one("#filter", Input).value = ""
