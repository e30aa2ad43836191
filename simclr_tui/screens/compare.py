"""Runs side by side: their curves above, the table of what differs and what came of it below, while they grow."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from simclr_tui.compare.build import compare
from simclr_tui.compare.export import markdown
from simclr_tui.compare.layout import Layout
from simclr_tui.compare.saving import path_of, problem_of, proposed_name, save
from simclr_tui.compare.side import Side
from simclr_tui.compare.table import Comparison
from simclr_tui.keys import key
from simclr_tui.theme import MUTED
from simclr_tui.widgets.compare_charts import CompareCharts
from simclr_tui.widgets.compare_table import CompareTable
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.words import Part
from trainer.store.totals import Totals

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board


_CHARTS_BESIDE = 80
"""Cells that charts need to stand beside the table."""
_TABLE_FRAME = 6
"""Cells of the table's frame, padding and scroll bar."""


class CompareScreen(Screen[None]):
    """Shows the runs that the board compares; the main screen below keeps the board up to date and says so."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-normal")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "run(-1)", "run", show=False, id="compare.previous", tooltip="Highlight the run before"),
        Binding("right", "run(1)", "run", id="compare.next", tooltip="Highlight the next run, of the next page too"),
        Binding("r,1", "reference", "reference", id="compare.reference", tooltip="Set the others against this run"),
        Binding("u", "unfold", "equal", id="compare.unfold", tooltip="Show what all have in common, or not"),
        Binding("m", "turn", "view", id="compare.multiples", tooltip="All in one, each its own, settings and results"),
        Binding("tab", "charts", "charts", id="compare.charts", tooltip="Give the charts the screen, or the table"),
        Binding("S", "save", "save", id="compare.save", tooltip="Save as Markdown, CSV, LaTeX, JSON or a picture"),
        Binding("y", "copy", "copy", id="compare.copy", tooltip="Copy the table as Markdown"),
        Binding("up,k", "scroll(-1)", "up", show=False, id="compare.up", tooltip="One row up"),
        Binding("down,j", "scroll(1)", "down", show=False, id="compare.down", tooltip="One row down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="compare.page-up", tooltip="One page of rows up"),
        Binding("pagedown", "page(1)", "page down", show=False, id="compare.page-down", tooltip="One page down"),
        Binding("home", "page(-1000)", "top", show=False, id="compare.top", tooltip="To the first row"),
        Binding("end", "page(1000)", "end", show=False, id="compare.end", tooltip="To the last row"),
        Binding("escape,c", "close", "back", id="compare.close", tooltip="Back to the runs"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, board: "Board") -> None:
        """Args: the board, which knows which runs are compared, the reference first."""
        super().__init__()
        self._board = board
        self._cursor_id = board.compared[0]
        self._unfolded = False
        self.comparison: Comparison | None = None
        """What is shown; None as long as there is nothing to compare."""

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the feed."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """The title, the charts, the table, where a file is named, the keys."""
        yield Static(id="title", markup=False)
        with Container(id="compare-body"):
            yield CompareCharts(id="compare-charts")
            yield CompareTable(id="compare-table")
        yield Input(id="save", compact=True, select_on_focus=False)
        yield Static(id="save-problem", markup=False)
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show what is known already."""
        self.show_comparison()

    def on_resize(self) -> None:
        """As many columns as fit now."""
        self.call_after_refresh(self._show)

    @property
    def sides(self) -> list[Side]:
        """The runs with what was read of them, as far as they are still there; the reference first."""
        totals = self._board.totals
        return [
            Side(drawn=drawn, totals=totals.get(drawn.row.run.id, Totals()))
            for drawn in self._board.drawn_of(self._board.compared)
        ]

    @property
    def _place(self) -> int:
        """Place of the highlighted run."""
        ids = [one.run_id for one in self.comparison.headings] if self.comparison else []
        return ids.index(self._cursor_id) if self._cursor_id in ids else 0

    def show_comparison(self) -> None:
        """Compare anew, since something of the runs has changed."""
        sides = self.sides
        is_read = all(side.drawn.curves.is_read for side in sides)
        price, is_whole = self.dashboard.settings.price, len(sides) > 1 and is_read
        self.comparison = compare(sides, self._board.compared[0], price=price) if is_whole else None
        left = ("none of these runs is", "only one of these runs is")[len(sides) : len(sides) + 1]
        self._sentence = f"{left[0]} left; {key('esc', 'compare.close')} goes back" if left else "reading the store"
        self._show()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        self._show_title()
        self.query_one(CompareTable).show(
            self.comparison, cursor=self._place, unfolded=self._unfolded, sentence=self._sentence
        )
        self._show_charts()
        self.query_one(KeyLine).keys = [
            one for one in (*self.BINDINGS, *self.app.BINDINGS) if isinstance(one, Binding) and one.show
        ]

    def _show_charts(self) -> None:
        """Draw the curves beside the table where it leaves them that much room, else above it."""
        charts, beside = self.query_one(CompareCharts), self._width_beside()
        is_beside = beside is not None and not self.has_class("-charts")
        charts.styles.width = beside if is_beside else "100%"
        width = beside if beside is not None and is_beside else self.size.width
        drawn = [side.drawn for side in self.sides]
        charts.show(drawn, self.comparison, self._board.view, width=width, is_beside=is_beside)
        self.set_class(is_beside, "-beside")
        self.set_class(charts.rows > 1 and not is_beside, "-tall")

    def _width_beside(self) -> int | None:
        """Cells that the table leaves to charts beside it; None where they are too few."""
        if self.comparison is None:
            return None
        table = Layout(comparison=self.comparison, width=self.size.width, unfolded=self._unfolded).whole_width
        left = self.size.width - (table or self.size.width) - _TABLE_FRAME
        return left if left >= _CHARTS_BESIDE else None

    def _show_title(self) -> None:
        parts: list[Part] = [(" compare  ", "bold $primary")]
        if self.comparison is not None:
            first, *others = self.comparison.headings
            words = others[0].name if len(others) == 1 else f"{len(others)} runs"
            parts += [f"{words} against ", (f"{first.sign} {first.name}", f"bold ${first.ink}")]
        self.query_one("#title", Static).update(Content.assemble(*parts))

    def action_run(self, delta: int) -> None:
        """Highlight another run; the page that it is on is shown."""
        if self.comparison is not None:
            headings = self.comparison.headings
            place = min(len(headings) - 1, max(0, self._place + delta))
            self._cursor_id = headings[place].run_id
            self._show()

    def action_reference(self) -> None:
        """Set the others against the highlighted run, which stands first from then on."""
        if self._cursor_id == self._board.compared[0]:
            self.notify("this run is the reference already; ← → highlight another one", severity="warning")
            return
        rest = [run_id for run_id in self._board.compared if run_id != self._cursor_id]
        self._board.compared = (self._cursor_id, *rest)
        self.show_comparison()

    def action_unfold(self) -> None:
        """Show the settings that all have in common, or only how many they are."""
        self._unfolded = not self._unfolded
        self._show()

    def action_turn(self) -> None:
        """All curves in one chart, a chart for each run with common axes, or settings against results."""
        self.query_one(CompareCharts).turn()
        self._show()

    def action_charts(self) -> None:
        """Give the charts the whole screen, or the table its place back."""
        self.toggle_class("-charts")
        self.call_after_refresh(self._show)

    def action_scroll(self, lines: int) -> None:
        """Scroll the table."""
        self.query_one(CompareTable).scroll_lines(lines)

    def action_page(self, pages: int) -> None:
        """Scroll the table by pages."""
        self.query_one(CompareTable).scroll_page(pages)

    def action_copy(self) -> None:
        """Put the table into the clipboard of the terminal, as Markdown."""
        if self._is_known():
            assert self.comparison is not None
            self.app.copy_to_clipboard(markdown(self.comparison, unfolded=self._unfolded))
            self.notify("the table is in the clipboard, as Markdown, if the terminal allows it (OSC 52)")

    def action_save(self) -> None:
        """Ask for the file's name."""
        if self._is_known():
            assert self.comparison is not None
            field = self.query_one("#save", Input)
            field.value = proposed_name(self.comparison)
            self.add_class("-saving")
            field.focus()
            field.cursor_position = len(field.value)

    def _is_known(self) -> bool:
        if self.comparison is None:
            self.notify(self._sentence, severity="warning")
        return self.comparison is not None

    @on(Input.Changed, "#save")
    def judge_name(self, event: Input.Changed) -> None:
        """Say what will be written, or why nothing can be."""
        problem = problem_of(event.value)
        path = path_of(event.value)
        there = "is there already, ↵ replaces it" if not problem and path.exists() else "↵ writes it"
        words = (
            Content.styled(f" ✗ {problem}", "$error")
            if problem
            else Content.styled(f" {path} {there}, esc leaves", MUTED)
        )
        self.query_one("#save-problem", Static).update(words)

    @on(Input.Submitted, "#save")
    def write(self, event: Input.Submitted) -> None:
        """Write the file, unless its name is wrong."""
        if problem_of(event.value) or self.comparison is None:
            return
        self._close_field()
        self.dashboard.do(
            partial(
                save,
                self.comparison,
                event.value,
                runs=self.dashboard.runs,
                unfolded=self._unfolded,
                post=self.dashboard.post_message,
            )
        )

    def _close_field(self) -> None:
        self.remove_class("-saving")
        self.set_focus(None)

    def action_close(self) -> None:
        """Back to the runs; out of the field first."""
        if self.has_class("-saving"):
            self._close_field()
        else:
            self.dismiss()
