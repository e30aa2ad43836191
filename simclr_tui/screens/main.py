"""The main screen: the runs at the left, the cursor's run at the right, what happened last below."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from simclr_tui.anatomy import EpochAnatomy
from simclr_tui.board import Board
from simclr_tui.braille import CELL_WIDTH
from simclr_tui.messages import Polled, PollFailed
from simclr_tui.panels import PANELS
from simclr_tui.screens.bench_controls import BenchControls
from simclr_tui.screens.controls import RunControls
from simclr_tui.screens.group import GroupControls
from simclr_tui.screens.line import LineControls
from simclr_tui.verbs import useful
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.evaluation import EvaluationTable
from simclr_tui.widgets.event_log import EventLog
from simclr_tui.widgets.facts import RunFacts
from simclr_tui.widgets.header import Header
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.widgets.run_table import RunTable
from simclr_tui.widgets.step_chart import StepChart
from simclr_tui.widgets.summary import RunSummary
from trainer.store.records import Event

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp

_EVENTS_KEPT = 500
_CELLS = (*PANELS, "evaluation")
_NARROW, _WIDE = 100, 161
_NEVER_LEFT_OUT = ("new_run", "pause", "resume", "stop", "open", "learning", "benchmark")
"""Keys that the footer names first, so that a narrow terminal keeps them, with help and quit."""

_OF_TRAINING = ("mark", "fork", "evaluate", "learning", "log", "x_axis", "chart(-1)", "chart(1)")
"""Keys that do nothing to a benchmark."""

_FEWEST_COLUMNS = 60
"""Read before the charts have a size."""


class MainScreen(RunControls, GroupControls, LineControls, BenchControls, Screen[None]):
    """Shows a board; every key changes the board or asks the actions for something."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (_NARROW, "-normal"), (_WIDE, "-wide")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new_run", "new", id="runs.new", tooltip="Launch a new run from a form"),
        Binding("p", "pause", "pause", id="run.pause", tooltip="Pause the run: checkpoint, end, free the device"),
        Binding("r", "resume", "resume", id="run.resume", tooltip="Go on with the run from its newest checkpoint"),
        Binding("s", "stop", "stop", id="run.stop", tooltip="Stop the run for good; it can still be resumed by name"),
        Binding("P", "group('pause')", "pause marked", id="marked.pause", tooltip="Pause every marked run"),
        Binding("R", "group('resume')", "resume marked", id="marked.resume", tooltip="Resume marked runs"),
        Binding("S", "group('stop')", "stop marked", id="marked.stop", tooltip="Stop every marked run"),
        Binding("Q", "line_up", "queue", id="line.join", tooltip="Put marked runs or this one in line"),
        Binding("less_than_sign", "line('up')", "sooner", id="line.up", tooltip="One place up in the line"),
        Binding("greater_than_sign", "line('down')", "later", id="line.down", tooltip="One place down in the line"),
        Binding("h", "line('hold')", "hold", id="line.hold", tooltip="Let others pass, or take the turn again"),
        Binding("space", "mark", "mark", id="run.mark", tooltip="Draw the run's curves beside those of others"),
        Binding("f", "fork", "fork", id="run.fork", tooltip="Make a child run from a checkpoint, with other settings"),
        Binding("v", "learning", "learning", id="run.learning", tooltip="Verdict, layers, labels, invariance and map"),
        Binding("e", "evaluate", "evaluate", id="run.evaluate", tooltip="Look at a checkpoint in one of five ways"),
        Binding("b", "benchmark", "benchmark", id="run.benchmark", tooltip="Which settings are fast: the laboratory"),
        Binding("enter", "open", "open", id="run.open", tooltip="Give the run the whole screen, or go back"),
        Binding("slash", "filter", "filter", id="runs.filter", tooltip="Show only runs that match some words"),
        Binding("l", "log", "log", id="charts.log", tooltip="Loss and step time on a logarithmic scale, or linear"),
        Binding("x", "x_axis", "axis", id="charts.axis", tooltip="Charts over epochs, or over steps"),
        Binding("left_square_bracket", "chart(-1)", "chart", id="charts.previous", tooltip="The chart before"),
        Binding("right_square_bracket", "chart(1)", "chart", id="charts.next", tooltip="The next chart"),
        Binding("tab", "open", "run or list", show=False, id="run.switch", tooltip="Change between list and run"),
        Binding("up,k", "move(-1)", "up", show=False, id="cursor.up", tooltip="One run up"),
        Binding("down,j", "move(1)", "down", show=False, id="cursor.down", tooltip="One run down"),
        Binding("pageup", "move(-10)", "page up", show=False, id="cursor.page-up", tooltip="Ten runs up"),
        Binding("pagedown", "move(10)", "page down", show=False, id="cursor.page-down", tooltip="Ten runs down"),
        Binding("home", "move(-1000000)", "first", show=False, id="cursor.first", tooltip="To the first run"),
        Binding("end", "move(1000000)", "last", show=False, id="cursor.last", tooltip="To the last run"),
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
                with Container(id="charts"):
                    for name in PANELS:
                        yield (StepChart if name == "step-time" else Chart)(id=name, classes="cell")
                    yield EvaluationTable(id="evaluation", classes="cell")
            yield EventLog(id="events")
            yield RunFacts(id="facts")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Nothing takes the focus: every key is the screen's own."""
        self.query_one("#loss").add_class("-current")
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
        for name, panel in PANELS.items():
            self.query_one(f"#{name}", Chart).data = panel(drawn, board.view)
        self.query_one(StepChart).anatomy = EpochAnatomy.of(drawn[0].curves.anatomy) if drawn else ()
        self.query_one(EvaluationTable).drawn = drawn
        facts = self.query_one(RunFacts)
        facts.row, facts.curves = board.cursor, drawn[0].curves if board.cursor else None
        facts.forked_from = board.row_of(board.cursor.run.parent_run_id) if board.cursor else None
        self.show_digest()
        self._show_events()
        self._show_keys()
        self.dashboard.feed.watch(board.watched(max(_FEWEST_COLUMNS, CELL_WIDTH * self._chart_width)))

    @property
    def _chart_width(self) -> int:
        """The width of the widest chart in cells."""
        return max(chart.size.width for chart in self.query(Chart))

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

    def action_move(self, delta: int) -> None:
        """Move the cursor."""
        self.board.move(delta)
        self.show_board()

    def action_mark(self) -> None:
        """Mark or unmark the cursor's run."""
        self.board.toggle_mark()
        self.show_board()

    def action_open(self) -> None:
        """Give the run the whole screen, or go back."""
        if self.board.cursor is not None or self.is_open:
            self.toggle_class("-open")
            self.call_after_refresh(self.show_board)

    def action_back(self) -> None:
        """Close what is open, else clear the filter."""
        if self.query_one("#filter").has_class("-shown"):
            self._close_filter()
            self.query_one("#filter", Input).value = ""
        elif self.is_open:
            self.action_open()
        else:
            self.query_one("#filter", Input).value = ""

    def action_log(self) -> None:
        """Change between a linear and a logarithmic y axis."""
        self.board.view = replace(self.board.view, log=not self.board.view.log)
        self.show_board()

    def action_x_axis(self) -> None:
        """Change between epochs and steps."""
        self.board.view = replace(self.board.view, by_epoch=not self.board.view.by_epoch)
        self.show_board()

    def action_chart(self, delta: int) -> None:
        """Show the next chart where there is room for one only."""
        current = next(name for name in _CELLS if self.query_one(f"#{name}").has_class("-current"))
        following = _CELLS[(_CELLS.index(current) + delta) % len(_CELLS)]
        self.query_one(f"#{current}").remove_class("-current")
        self.query_one(f"#{following}").add_class("-current")

    def action_filter(self) -> None:
        """Ask for the words to filter by."""
        self.remove_class("-open")
        field = self.query_one("#filter", Input)
        field.add_class("-shown")
        field.focus()

    @on(Input.Changed, "#filter")
    def apply_filter(self, event: Input.Changed) -> None:
        """Filter while the words are typed."""
        self.board.set_filter(event.value)
        self.show_board()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        """Keep the filter and give the keys back to the screen."""
        field = self.query_one("#filter", Input)
        field.remove_class("-shown")
        self.set_focus(None)

    @on(RunTable.Chosen)
    def choose_clicked(self, event: RunTable.Chosen) -> None:
        """Put the cursor where the mouse was; a second click opens the run."""
        if self.board.cursor_id == event.run_id:
            self.action_open()
            return
        self.board.cursor_id = event.run_id
        self.show_board()
