"""What a run has learnt: verdict, layers, labels, invariance, map and files, while they grow."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from simclr_tui.learning.look import Look, evaluations_going_on
from simclr_tui.learning.sections import SECTIONS, TEXTS, heading
from simclr_tui.model import Learning
from simclr_tui.screens.controls import ask_evaluation
from simclr_tui.theme import MUTED
from simclr_tui.widgets.key_line import KeyLine
from simclr_tui.widgets.labels_section import LabelsSection
from simclr_tui.widgets.map_plot import MapPlot
from simclr_tui.widgets.map_section import MapSection
from simclr_tui.widgets.section_menu import SectionMenu

if TYPE_CHECKING:
    from simclr_tui.app import DashboardApp
    from simclr_tui.board import Board


class LearningScreen(Screen[None]):
    """Shows one run of the board; the main screen below it keeps the board up to date and says so."""

    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-normal")]  # type: ignore[misc]  # Screen annotates it plainly
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(number),
                f"section('{name}')",
                section.title,
                show=False,
                id=f"learning.{name}",
                tooltip=f"Learning: {section.title}",
            )
            for number, (name, section) in enumerate(SECTIONS.items(), start=1)
        ),
        Binding(
            "left_square_bracket",
            "turn(-1)",
            "section before",
            show=False,
            id="learning.previous",
            tooltip="The section before",
        ),
        Binding("right_square_bracket,tab", "turn(1)", "next section", id="learning.next", tooltip="The next section"),
        Binding("e", "evaluate", "evaluate", id="learning.evaluate", tooltip="Evaluate the run, in one of five ways"),
        Binding("s", "step", "checkpoint", id="learning.step", tooltip="Figures of the next step that was looked at"),
        Binding("up,k", "move(-1, 0)", "up", show=False, id="learning.up", tooltip="Up, or to the image above"),
        Binding("down,j", "move(1, 0)", "down", show=False, id="learning.down", tooltip="Down, or to the image below"),
        Binding("left", "move(0, -1)", "left", show=False, id="learning.left", tooltip="To the image at the left"),
        Binding("right", "move(0, 1)", "right", show=False, id="learning.right", tooltip="To the image at the right"),
        Binding(
            "space", "next_here", "next", show=False, id="learning.here", tooltip="Another image of the same place"
        ),
        Binding("escape,v", "close", "back", id="learning.close", tooltip="Back to the runs"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, board: "Board", run_id: str) -> None:
        """Args: the board, which knows the run, and the run's id."""
        super().__init__()
        self._board = board
        self._run_id = run_id
        self._section = "health"
        self._step: int | None = None

    @property
    def dashboard(self) -> "DashboardApp":
        """The app, which has the actions."""
        return cast("DashboardApp", self.app)

    def compose(self) -> ComposeResult:
        """The title, the sections, the one that is shown, the keys."""
        yield Static(id="title", markup=False)
        with Container(id="look"):
            yield SectionMenu(id="menu")
            with Container(id="section"):
                with VerticalScroll(id="text", can_focus=False):
                    yield Static(id="words", markup=False)
                yield LabelsSection(id="labels")
                yield MapSection(id="map")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Show what is known already."""
        self.action_section(self._section)

    def on_resize(self) -> None:
        """Texts are made for their width."""
        self.call_after_refresh(self.show_look)

    @property
    def look(self) -> Look | None:
        """What the sections are given; None where the run is gone."""
        row = self._board.row_of(self._run_id)
        if row is None:
            return None
        known = self._board.learning
        return Look(
            row=row,
            curves=self._board.curves_of(row),
            learning=known if known and known.run_id == self._run_id else Learning(run_id=self._run_id, is_read=False),
            runs=self.dashboard.runs,
            step=self._step,
            jobs=evaluations_going_on(self._board.rows, self._run_id),
        )

    def show_look(self) -> None:
        """Bring the section that is shown, and the list of all, up to date."""
        look = self.look
        if look is None or not self.is_mounted:
            return
        self._show_title(look)
        self.query_one(SectionMenu).look = look
        if self._section in TEXTS:
            self.query_one("#words", Static).update(TEXTS[self._section](look, self._width))
        elif self._section == "labels":
            self.query_one(LabelsSection).show(look, self._width)
        else:
            self.query_one(MapSection).show(look)
        self._show_keys(look)

    def _show_keys(self, look: Look) -> None:
        own = [one for one in self.BINDINGS if isinstance(one, Binding) and one.show]
        general = [one for one in self.app.BINDINGS if isinstance(one, Binding) and one.show]
        steps = look.learning.findings.steps
        self.query_one(KeyLine).keys = [
            one for one in (*own, *general) if one.action != "step" or len(steps) > 1 or self._step is not None
        ]

    @property
    def _width(self) -> int:
        """Cells of a line of text, with one left for a scroll bar."""
        return max(1, self.query_one("#section").content_size.width - 1)

    def _show_title(self, look: Look) -> None:
        run = look.row.run
        at = f" · figures of step {self._step:,} only" if self._step is not None else ""
        self.query_one("#title", Static).update(
            Content.assemble(
                (" learning  ", "bold $primary"), (run.name, "bold"), (f"  {run.id} · {look.row.state}{at}", MUTED)
            )
        )
        self.query_one("#section").border_title = heading(self._section, look)

    def action_section(self, name: str) -> None:
        """Show a section."""
        self._section = name
        self.query_one(SectionMenu).current = name
        shown = "text" if name in TEXTS else name
        for other in ("text", "labels", "map"):
            self.query_one(f"#{other}").display = other == shown
        self.query_one("#text", VerticalScroll).scroll_home(animate=False)
        self.call_after_refresh(self.show_look)

    def action_turn(self, delta: int) -> None:
        """The section before or after."""
        names = list(SECTIONS)
        self.action_section(names[(names.index(self._section) + delta) % len(names)])

    @on(SectionMenu.Chosen)
    def choose_clicked(self, event: SectionMenu.Chosen) -> None:
        """Show the section under the mouse."""
        self.action_section(event.section)

    def action_move(self, down: int, right: int) -> None:
        """Move the crosshair, or scroll what is shown."""
        if self._section == "map":
            self.query_one(MapPlot).move(down, right)
        elif down and self._section == "labels":
            self.query_one(LabelsSection).scroll_lines(down)
        elif down:
            self.query_one("#text", VerticalScroll).scroll_relative(y=down, animate=False)

    def action_next_here(self) -> None:
        """Another image under the crosshair."""
        if self._section == "map":
            self.query_one(MapPlot).next_here()

    def action_step(self) -> None:
        """Figures of the next step that was looked at, and of the latest again after the last."""
        look = self.look
        steps: list[int | None] = [None, *(look.learning.findings.steps if look else [])]
        self._step = steps[(steps.index(self._step) + 1) % len(steps)] if self._step in steps else None
        self.show_look()

    def action_evaluate(self) -> None:
        """Ask in which way, and evaluate."""
        look = self.look
        if look is not None:
            ask_evaluation(self.dashboard, look.row, look.curves, way=SECTIONS[self._section].way)

    def action_close(self) -> None:
        """Back to the runs."""
        self.dismiss()
