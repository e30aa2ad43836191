"""The laboratory: the trials of a benchmark while they are measured, and the verdict below."""

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from simclr_tui.keys import key
from simclr_tui.lab.words import status_words
from simclr_tui.model import RunRow
from simclr_tui.screens.controls import ask_fork, ask_pause, ask_resume, ask_stop, is_allowed
from simclr_tui.screens.group import do_to_own
from simclr_tui.theme import MUTED
from simclr_tui.verbs import useful
from simclr_tui.widgets.bench_grid import BenchGrid
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.words import STATE_STYLES
from trainer.options import show
from trainer.store.records import TRAINED_KINDS

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board
    from simclr_tui.lab.bench import Bench

_TICK_SECONDS = 1.0
_FRAME_LINES, _FEWEST_LINES = 3, 6
"""Of the grid: its border and heading, and the least that is of use."""
_LINES_BESIDE = 9
"""Title, status, keys, and six lines of the verdict."""


class BenchmarkScreen(Screen[None]):
    """Shows one benchmark of the board; the main screen below it keeps the board up to date and says so."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-normal")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="benchmark.up", tooltip="The trial above"),
        Binding("down,j", "move(1)", "next trial", id="benchmark.down", tooltip="The trial below"),
        Binding("home", "move(-1000000)", "first", show=False, id="benchmark.first", tooltip="To the first trial"),
        Binding("end", "move(1000000)", "last", show=False, id="benchmark.last", tooltip="To the last trial"),
        Binding("p", "pause", "pause", id="benchmark.pause", tooltip="Pause the benchmark before its next turn"),
        Binding("r", "resume", "resume", id="benchmark.resume", tooltip="Go on where its rows end"),
        Binding("s", "stop", "stop", id="benchmark.stop", tooltip="Stop the benchmark; what was measured stays"),
        Binding("a", "apply", "apply", id="benchmark.apply", tooltip="Give the winner to a run, also a running one"),
        Binding("f", "fork", "fork", id="benchmark.fork", tooltip="Fork a run with what would change its result"),
        Binding("pageup", "scroll(-4)", "text up", show=False, id="benchmark.text-up", tooltip="Scroll the verdict up"),
        Binding("pagedown", "scroll(4)", "rest of the verdict", id="benchmark.text", tooltip="Scroll the verdict down"),
        Binding("escape,b", "close", "back", id="benchmark.close", tooltip="Back to the runs"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, board: "Board", run_id: str) -> None:
        """Args: the board, which knows the benchmark, and its id."""
        super().__init__()
        self._board = board
        self._run_id = run_id

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the actions."""
        return cast("DashboardApp", self.app)

    @property
    def bench(self) -> "Bench | None":
        """What was read of it."""
        known = self._board.benchmark_of(self._run_id)
        return known.bench if known else None

    def compose(self) -> ComposeResult:
        """The title, what runs, the trials, the chosen one, the verdict, the keys."""
        yield Static(id="title", markup=False)
        yield Static(id="status", markup=False)
        yield BenchGrid(id="trials")
        yield Static(id="trial", markup=False)
        with VerticalScroll(id="bench-verdict", can_focus=False):
            yield Static(id="words", markup=False)
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show what is known already, and let the time that is left go on."""
        self.show_bench()
        self.set_interval(_TICK_SECONDS, self._show_status)

    def on_resize(self) -> None:
        """Lines are made for their width."""
        self.call_after_refresh(self.show_bench)

    @property
    def _row(self) -> RunRow | None:
        return self._board.row_of(self._run_id)

    def show_bench(self) -> None:
        """Bring everything up to date."""
        row = self._row
        if row is None or not self.is_mounted:
            return
        self.query_one("#title", Static).update(
            Content.assemble((" benchmark  ", "bold $primary"), (row.run.name, "bold"), (f"  {row.run.id}", MUTED))
        )
        self._show_status()
        bench = self.bench
        grid = self.query_one(BenchGrid)
        grid.show(bench)
        if bench is not None:
            beside = _LINES_BESIDE + self.query_one("#trial").size.height
            grid.styles.height = max(_FEWEST_LINES, min(len(bench.lines) + _FRAME_LINES, self.size.height - beside))
        self._show_trial()
        self._show_verdict(bench)
        self._show_keys(row, bench)

    def _show_status(self) -> None:
        row, bench = self._row, self.bench
        if row is None:
            return
        words = status_words(bench, row.state, time.time()) if bench else row.state
        state, _, rest = words.partition(" · ")
        status = Content.assemble(" ", (state, f"bold {STATE_STYLES[row.state]}"), f" · {rest}" if rest else "")
        self.query_one("#status", Static).update(status)

    def _show_trial(self) -> None:
        self.query_one("#trial", Static).update(self.query_one(BenchGrid).chosen())

    def _show_verdict(self, bench: "Bench | None") -> None:
        box, words = self.query_one("#bench-verdict"), self.query_one("#words", Static)
        box.border_title = Content.styled("verdict" if bench and bench.verdict.is_final else "so far", "bold")
        if bench is None:
            known = self._board.benchmark_of(self._run_id)
            words.update(known.problem if known else "reading the benchmark")
            return
        notes = [one for one in (bench.scale_words, bench.machine) if one]
        trouble = (
            (f"✗ {bench.failure}; {key('r', 'benchmark.resume')} tries again\n", "$error") if bench.failure else ""
        )
        words.update(Content.assemble(trouble, bench.said, *((f"\n{one}", MUTED) for one in notes)))

    def _show_keys(self, row: RunRow, bench: "Bench | None") -> None:
        own = [one for one in self.BINDINGS if isinstance(one, Binding) and one.show]
        general = [one for one in self.app.BINDINGS if isinstance(one, Binding) and one.show]
        can = {"apply": bool(bench and bench.apply), "fork": bool(bench and bench.fork)}
        can |= {verb: useful(verb, row.state) for verb in ("pause", "resume", "stop")}
        can["scroll(4)"] = self.query_one("#bench-verdict").max_scroll_y > 0
        self.query_one(KeyLine).keys = [one for one in (*own, *general) if can.get(one.action, True)]

    def action_move(self, delta: int) -> None:
        """Choose another trial."""
        self.query_one(BenchGrid).move(delta)
        self._show_trial()

    @on(BenchGrid.Chosen)
    def choose_clicked(self, event: BenchGrid.Chosen) -> None:
        """Choose the trial under the mouse."""
        self.action_move(event.number - self.query_one(BenchGrid).cursor)

    def action_scroll(self, lines: int) -> None:
        """Scroll the verdict."""
        self.query_one("#bench-verdict", VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_pause(self) -> None:
        """Pause it."""
        row = self._allowed("pause")
        if row is not None:
            ask_pause(self.dashboard, row)

    def action_resume(self) -> None:
        """Go on with it."""
        row = self._allowed("resume")
        if row is not None:
            ask_resume(self.dashboard, row)

    def action_stop(self) -> None:
        """Stop it once that is confirmed."""
        row = self._allowed("stop")
        if row is not None:
            ask_stop(self.dashboard, row)

    def _allowed(self, verb: str) -> RunRow | None:
        row = self._row
        return row if row is not None and is_allowed(self, verb, row) else None

    def action_apply(self) -> None:
        """Ask which run gets the winner, and give it."""
        self._choose("apply", self._apply)

    def action_fork(self) -> None:
        """Ask which run is forked with what would change its result."""
        self._choose("fork", self._fork)

    def _choose(self, way: Literal["apply", "fork"], then: "partial[None] | object") -> None:
        from simclr_tui.screens.apply_benchmark import ApplyScreen

        bench = self.bench
        rows = [row for row in self._board.rows if row.run.kind in TRAINED_KINDS]
        rows.sort(key=lambda row: (row.run.id != (bench.config.of if bench else ""), row.state == "finished"))
        wanted = (bench.apply if way == "apply" else bench.fork) if bench else {}
        if bench is None or not bench.verdict.is_final:
            self.notify("there is no verdict yet, so nothing is recommended", severity="warning")
        elif not wanted:
            what = "can be applied without changing a result" if way == "apply" else "would need a fork"
            self.notify(f"nothing faster was found that {what}", severity="warning")
        elif not rows:
            self.notify(f"there is no run yet; {key('n', 'runs.new')} makes one", severity="warning")
        else:
            self.app.push_screen(ApplyScreen(bench, rows, way=way), then)  # type: ignore[arg-type]

    def _apply(self, run_id: str | None) -> None:
        row = self._board.row_of(run_id)
        if row is not None:
            act = partial(self.dashboard.actions.apply, self._run_id, row.run.id)
            do_to_own(self.dashboard, "change", [row], act)

    def _fork(self, run_id: str | None) -> None:
        row, bench = self._board.row_of(run_id), self.bench
        if row is not None and bench is not None:
            words = " ".join(f"{name.replace('_', '-')}={show(value)}" for name, value in bench.fork.items())
            ask_fork(self.dashboard, row, self._board.curves_of(row), words=words)

    def action_close(self) -> None:
        """Back to the runs."""
        self.dismiss()
