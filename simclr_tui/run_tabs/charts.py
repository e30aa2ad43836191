"""The charts of a run over the whole screen, with its own history and what it is."""

from textual.app import ComposeResult
from textual.containers import Horizontal

from simclr_tui.run_tabs.tab import RunLook, RunTab
from simclr_tui.widgets.chart_grid import ChartGrid
from simclr_tui.widgets.event_log import EventLog
from simclr_tui.widgets.facts import RunFacts


class ChartsTab(RunTab):
    """The keys of its charts are the screen's, which has a board."""

    def compose(self) -> ComposeResult:
        """Charts above, what happened and what the run is below."""
        yield ChartGrid(id="charts")
        with Horizontal(id="below-charts"):
            yield EventLog(id="events")
            yield RunFacts(id="facts")

    def show(self, look: RunLook) -> None:
        """Draw the history and what the run is; the screen draws the charts, which its keys are for."""
        log = self.query_one(EventLog)
        log.is_own = True
        log.names = {look.row.run.id: look.row.run.name}
        log.events = list(look.curves.events)
        facts = self.query_one(RunFacts)
        facts.row, facts.curves, facts.forked_from = look.row, look.curves, look.parent
