"""The charts of the drawn runs beside each other, or one of them where there is no room for more."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container

from simclr_tui.anatomy import EpochAnatomy
from simclr_tui.drawn import Drawn, View
from simclr_tui.panels import PANELS
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.evaluation import EvaluationTable
from simclr_tui.widgets.step_chart import StepChart

_CELLS = (*PANELS, "evaluation")


class ChartGrid(Container):
    """Shows what it is given; the screen says of which runs and how."""

    def compose(self) -> ComposeResult:
        """A cell for each panel, and one for the evaluations."""
        for name in PANELS:
            yield (StepChart if name == "step-time" else Chart)(id=name, classes="cell")
        yield EvaluationTable(id="evaluation", classes="cell")

    def on_mount(self) -> None:
        """The loss is what a narrow screen shows first."""
        self.query_one(f"#{_CELLS[0]}").add_class("-current")

    def show(self, drawn: Sequence[Drawn], view: View) -> None:
        """Bring every chart up to date."""
        for name, panel in PANELS.items():
            self.query_one(f"#{name}", Chart).data = panel(drawn, view)
        self.query_one(StepChart).anatomy = EpochAnatomy.of(drawn[0].curves.anatomy) if drawn else ()
        self.query_one(EvaluationTable).drawn = drawn

    @property
    def chart_width(self) -> int:
        """The width of the widest chart in cells."""
        return max(chart.size.width for chart in self.query(Chart))

    def turn(self, delta: int) -> None:
        """Make the next cell the current one, which is all that a narrow screen shows."""
        current = next(name for name in _CELLS if self.query_one(f"#{name}").has_class("-current"))
        following = _CELLS[(_CELLS.index(current) + delta) % len(_CELLS)]
        self.query_one(f"#{current}").remove_class("-current")
        self.query_one(f"#{following}").add_class("-current")
