"""One run over the whole screen: what it did, what it learns, what it keeps, what it says and what it runs on."""

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from simclr_tui.messages import Polled
from simclr_tui.model import Learning
from simclr_tui.plot.braille import CELL_WIDTH
from simclr_tui.screens.bench_controls import BenchControls
from simclr_tui.screens.chart_controls import ChartControls
from simclr_tui.screens.controls import RunControls, can_be_asked
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.widgets.tab_line import TabLine
from simclr_tui.words import status_line
from trainer.store.records import TRAINED_KINDS

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board
    from simclr_tui.model import RunRow
    from simclr_tui.run_tabs.tab import RunLook, RunTab

TABS: Mapping[str, str] = {
    "charts": "Charts",
    "epoch": "Epoch",
    "learning": "Learning",
    "checkpoints": "Checkpoints",
    "settings": "Settings",
    "log": "Log",
    "system": "System",
    "images": "Images",
}
"""Names by id; each is a module of `simclr_tui.run_tabs` with a class of its name."""

TAB = "run.tab"
"""What the tab that was looked at last is remembered by."""

_OF_LEARNING = ("learning", "images")
_FEWEST_COLUMNS = 60
_CHART_KEYS = ("full_chart", "chart(1)", "log", "x_axis", "choose_charts")


class RunScreen(RunControls, ChartControls, Screen[None]):
    """Shows one run of the board; the main screen below it keeps the board up to date and says so."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-normal"), (161, "-wide")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"tab('{name}')", words, show=False, id=f"tab.{name}", tooltip=f"Run: {words.lower()}")
            for number, (name, words) in enumerate(TABS.items(), start=1)
        ),
        Binding("tab", "turn_tab(1)", "next tab", id="tab.next", tooltip="The next tab"),
        Binding("shift+tab", "turn_tab(-1)", "tab", show=False, id="tab.previous", tooltip="The tab before"),
        *(one for one in RunControls.KEYS if isinstance(one, Binding) and one.action != "new_run"),
        *BenchControls.KEYS,
        *ChartControls.KEYS,
        Binding("up,k", "move(-1)", "up", show=False, id="tab.up", tooltip="Up"),
        Binding("down,j", "move(1)", "down", show=False, id="tab.down", tooltip="Down"),
        Binding("pageup", "move(-10)", "page up", show=False, id="tab.page-up", tooltip="Ten lines up"),
        Binding("pagedown", "move(10)", "page down", show=False, id="tab.page-down", tooltip="Ten lines down"),
        Binding("home", "move(-1000000)", "first", show=False, id="tab.first", tooltip="To the first line"),
        Binding("end", "move(1000000)", "last", show=False, id="tab.last", tooltip="To the last line"),
        Binding("escape", "close", "back", id="tab.close", tooltip="Back to the runs"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, board: "Board", run_id: str, *, tab: str = "charts") -> None:
        """Args: the board, which knows the run, the run's id, and the tab that it begins with."""
        super().__init__()
        self.board = board
        self.run_id = run_id
        self.tab_name = tab
        board.opened_id, board.opened_tab = run_id, self.tab_name

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the feed and the actions."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """The title, the tabs, the one that is shown, the keys."""
        yield Static(id="title", markup=False)
        yield TabLine(TABS, id="tabs")
        yield Container(id="tab")
        yield KeyLine(id="keys")

    async def on_mount(self) -> None:
        """Begin with its tab."""
        await self.action_tab(self.tab_name)

    def on_resize(self) -> None:
        """What is read follows the width."""
        self.call_after_refresh(self.show_board)

    @property
    def tab(self) -> "RunTab | None":
        """The tab that is shown."""
        return self._made(self.tab_name)

    def _made(self, name: str) -> "RunTab | None":
        found = self.query(f"#tab-{name}") if self.is_mounted else ()
        return cast("RunTab", found[0]) if found else None

    async def action_tab(self, name: str) -> None:
        """Show a tab; its widgets are made when it is first shown."""
        self.tab_name = self.board.opened_tab = name
        self.dashboard.remembered.put(TAB, name)
        self.query_one(TabLine).current = name
        if self._made(name) is None:
            module = import_module(f"simclr_tui.run_tabs.{name}")
            tab: RunTab = getattr(module, f"{name.capitalize()}Tab")(id=f"tab-{name}")
            await self.query_one("#tab").mount(tab)
        for other in TABS:
            made = self._made(other)
            if made is not None:
                made.display = other == name
        if self.tab is not None:
            self.set_focus(self.tab.home())
        self.call_after_refresh(self.show_board)

    async def action_turn_tab(self, delta: int) -> None:
        """The tab before or after."""
        names = list(TABS)
        await self.action_tab(names[(names.index(self.tab_name) + delta) % len(names)])

    @on(TabLine.Chosen)
    async def choose_clicked(self, event: TabLine.Chosen) -> None:
        """Show the tab under the mouse."""
        await self.action_tab(event.tab)

    def took(self, message: Polled) -> None:
        """Hand what was read to the screens above this one."""
        if self.learning_screen is not None and (message.rows is not None or message.curves or message.learning):
            self.learning_screen.show_look()

    def show_board(self) -> None:
        """Bring the title, the tab and the keys up to date, and say what has to be read."""
        row = self.board.row_of(self.run_id)
        if not self.is_mounted:
            return
        if row is None:
            self.notify("the run that was shown is not in this store any more", severity="warning")
            self.dismiss()
            return
        if self.learning_screen is None:
            self.board.learning_id = self.run_id if self.tab_name in _OF_LEARNING else None
        self._show_title(row)
        if self.tab_name == "charts":
            self.show_charts()
        if self.tab is not None and self.size.width:
            self.tab.take(self._look_at(row))
        self._show_keys(row)
        columns = max(_FEWEST_COLUMNS, CELL_WIDTH * self.chart_width)
        self.dashboard.feed.watch(self.board.watched(columns))

    def _look_at(self, row: "RunRow") -> "RunLook":
        """What a tab is given."""
        from simclr_tui.learning.look import Look, evaluations_going_on
        from simclr_tui.run.opened import Opened
        from simclr_tui.run_tabs.tab import RunLook

        board, run_id, runs = self.board, self.run_id, self.dashboard.runs
        curves, known, opened = board.curves_of(row), board.learning, board.opened
        learning = known if known and known.run_id == run_id else Learning(run_id=run_id, is_read=False)
        if opened is None or (opened.run_id, opened.tab) != (run_id, self.tab_name):
            opened = Opened(run_id, self.tab_name)
        jobs = evaluations_going_on(board.rows, run_id)
        return RunLook(
            row=row,
            curves=curves,
            learning=learning,
            opened=opened,
            runs=runs,
            parent=board.row_of(row.run.parent_run_id),
            findings=Look(row=row, curves=curves, learning=learning, runs=runs, jobs=jobs),
        )

    def _show_title(self, row: "RunRow") -> None:
        from simclr_tui.charts.drawn import Drawn

        one = Drawn(row, self.board.curves_of(row))
        now = time.time()
        status = status_line(row, one.curves, now)
        name, id_ = (f" {one.sign} {row.run.name}", f"bold ${one.ink}"), (f"  {row.run.id}", MUTED)
        title = Content.assemble(name, id_, "  ", *status)
        if title.cell_length > self.size.width:
            title = Content.assemble(name, "  ", *status)
        self.query_one("#title", Static).update(title.truncate(max(1, self.size.width), ellipsis=True))

    def _show_keys(self, row: "RunRow") -> None:
        """The tab's own keys first, then those of the run."""
        own = [one for one in self.BINDINGS if isinstance(one, Binding) and one.show]
        is_trained = row.run.kind in TRAINED_KINDS
        charts = {one.id for one in ChartControls.KEYS if isinstance(one, Binding)}
        of_charts = [one for action in _CHART_KEYS for one in own if one.action == action and one.id in charts]
        tab = self.tab.keys if self.tab is not None else []
        if self.tab_name == "charts":
            tab = of_charts if is_trained else []
        taken = {key for one in tab for key in one.key.split(",")}
        verbs = [one for one in own if one.action in ("pause", "resume", "stop") and can_be_asked(one.action, row)]
        of_tab = self.tab.owned if self.tab is not None else frozenset()
        asked = [one for one in own if one.action in _asked_of(row) and one.key not in of_tab]
        general = [one for one in self.app.BINDINGS if isinstance(one, Binding) and one.show]
        # What leads on and what explains the rest are never left out.
        leading = [one for one in (*own, *general) if one.action in ("close", "turn_tab(1)", "help")]
        first = [one for one in leading if one.key not in taken]
        rest = [one for one in general if one not in leading]
        self.query_one(KeyLine).keys = [*first, *tab, *verbs, *asked, *rest]

    def on_run_tab_keys_changed(self) -> None:
        """Name the keys that matter now."""
        row = self.board.row_of(self.run_id)
        if row is not None:
            self._show_keys(row)

    def action_move(self, delta: int) -> None:
        """Move the tab's cursor, or scroll it."""
        if self.tab is not None:
            self.tab.move(delta)

    def action_benchmark(self) -> None:
        """Open the laboratory of a benchmark, or measure the settings of this run, as in the list."""
        main = self.dashboard.main_screen
        if main is not None:
            main.action_benchmark()

    def action_close(self) -> None:
        """Take the reading cursor away, or go back to the runs."""
        if self.tab_name != "charts" or not self.drop_cursor():
            self.dismiss()


def _asked_of(row: "RunRow") -> Sequence[str]:
    """What is worth asking of a run of its kind."""
    if row.run.kind == "benchmark":
        return ("benchmark",)
    return ("evaluate", "fork", "learning") if row.run.kind in TRAINED_KINDS else ("learning",)
