"""Accuracy over the number of labels: the chart, and its figures below."""

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from simclr_tui.learning import labels
from simclr_tui.learning.look import Look
from simclr_tui.widgets.chart import Chart


class LabelsSection(Vertical):
    """The chart takes the height that the figures leave it."""

    def compose(self) -> ComposeResult:
        """Chart and figures."""
        yield Chart(id="curve")
        with VerticalScroll(id="figures", can_focus=False):
            yield Static(id="numbers", markup=False)

    def show(self, look: Look, width: int) -> None:
        """Show a run's curves, with text for so many cells."""
        self.query_one(Chart).data = labels.chart(look)
        made = labels.body(look, width)
        self.query_one("#figures").display = bool(made.plain)
        self.query_one("#numbers", Static).update(made)

    def scroll_lines(self, lines: int) -> None:
        """Scroll the figures."""
        self.query_one("#figures", VerticalScroll).scroll_relative(y=lines, animate=False)
