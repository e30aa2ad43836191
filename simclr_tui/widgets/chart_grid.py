"""The chosen charts of the drawn runs beside each other, by pages where there is no room for all of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from simclr_tui.charts.choice import EVALUATION, FIRST_CELLS, chart_of
from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.page import Layout, page_words
from simclr_tui.charts.panels import PANELS
from simclr_tui.run.anatomy import EpochAnatomy
from simclr_tui.run.ranks import RanksLook, look_at_ranks
from simclr_tui.theme import MUTED
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.device_chart import DeviceChart
from simclr_tui.widgets.evaluation import EvaluationTable
from simclr_tui.widgets.step_chart import StepChart

_CHARTS: Mapping[str, type[Chart]] = {"step-time": StepChart, "device": DeviceChart}
"""Those that show more than a chart."""
_SELECTOR = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*")


class ChartGrid(Container):
    """Shows what it is given; the screen says of which runs and how. A cell is made when it is first on a page."""

    def __init__(self, *, id: str, is_single: bool = False, current: str = FIRST_CELLS[0]) -> None:
        """Args: the widget's id, whether it shows the current chart alone, and which one that is at first."""
        super().__init__(id=id)
        self.current = current
        """The id of the chart that keys are for."""
        self._is_single = is_single
        self._drawn: Sequence[Drawn] = ()
        self._view = View(charts=())
        self._cells: dict[str, Widget] = {}
        self._filled: dict[str, object] = {}
        self._asked = object()

    def compose(self) -> ComposeResult:
        """The line that says which part is shown; cells come as they are needed."""
        yield Static(id="charts-line")

    def show(self, drawn: Sequence[Drawn], view: View) -> None:
        """Bring every chart that is visible up to date."""
        if _without_cursor(view) != _without_cursor(self._view) or not _are_same(drawn, self._drawn):
            self._asked = object()
        self._drawn, self._view = drawn, view
        if self.current not in view.charts:
            self.current = view.charts[0] if view.charts else ""
        self._arrange()

    def point(self, view: View) -> None:
        """Move the reading cursor, for which no chart is made anew."""
        self._view = view
        for name in self.page:
            cell = self._cells.get(name)
            if isinstance(cell, Chart):
                cell.cursor = view.cursor

    def on_resize(self) -> None:
        """As many charts as fit now."""
        self._arrange()

    @property
    def charts(self) -> Sequence[Chart]:
        """The charts that are visible."""
        cells = (self._cells.get(name) for name in self.page)
        return [cell for cell in cells if isinstance(cell, Chart)]

    @property
    def chart_width(self) -> int:
        """The width of the widest visible chart in cells."""
        return max((chart.size.width for chart in self.charts), default=0)

    @property
    def columns(self) -> int:
        """Cells that the curves of the widest visible chart have."""
        return max((chart.columns for chart in self.charts), default=0)

    @property
    def layout_now(self) -> Layout:
        """How many charts there is room for."""
        if self._is_single:
            return Layout(1, 1)
        line = self.query_one("#charts-line")
        return Layout.fitting(self.screen.size.width, self.size.height - line.display, len(self._view.charts))

    @property
    def page(self) -> Sequence[str]:
        """The ids of the charts of the current page."""
        charts = self._view.charts
        at = charts.index(self.current) if self.current in charts else 0
        return charts[self.layout_now.page(at, len(charts))]

    def turn(self, delta: int) -> None:
        """Make the next chart the current one, on its page."""
        charts = self._view.charts
        if charts:
            self.make_current(charts[(charts.index(self.current) + delta) % len(charts)])

    def make_current(self, name: str) -> None:
        """Give the keys to a chart."""
        if name in self._view.charts:
            self.current = name
            self._arrange()

    def id_of(self, chart: Chart) -> str | None:
        """Which chart a widget shows."""
        return next((name for name, cell in self._cells.items() if cell is chart), None)

    def tell(self, parts: Sequence[str]) -> None:
        """Say in the line above how charts are looked at; the line is there only if there is something to say."""
        words = [] if self._is_single else page_words(self.page, self._view.charts)
        line = self.query_one("#charts-line", Static)
        text = " · ".join([*words, *parts])
        line.update(Content.styled(text, MUTED))
        line.display = bool(text)

    def _arrange(self) -> None:
        """Make, order, show and fill the cells of the page; what is not chosen any more goes."""
        if not self.is_attached:
            return
        page = self.page
        with self.app.batch_update():
            for name in [name for name in self._cells if name not in self._view.charts]:
                self._filled.pop(name, None)
                self._cells.pop(name).remove()
            self._mount_missing(page)
            layout = self.layout_now.trimmed(len(page))
            self.styles.grid_size_columns, self.styles.grid_size_rows = layout.columns, layout.rows
            for name, cell in self._cells.items():
                cell.display = name in page
                cell.set_class(name == self.current and not self._is_single, "-current")
            for name in page:
                self._fill(name)

    def _mount_missing(self, page: Sequence[str]) -> None:
        missing = [name for name in page if name not in self._cells]
        for name in missing:
            self._cells[name] = _cell(name)
        if missing:
            self.mount(*(self._cells[name] for name in missing))
        wanted = [self._cells[name] for name in self._view.charts if name in self._cells]
        if [child for child in self.children if child in wanted] != wanted:
            for before, after in pairwise(wanted):
                self.move_child(after, after=before)

    def _fill(self, name: str) -> None:
        """Give a cell what it shows, if that has changed."""
        cell, drawn = self._cells[name], self._drawn
        if isinstance(cell, Chart):
            cell.cursor, cell.axis = self._view.cursor, self._view.axis
        if self._filled.get(name) is self._asked:
            return
        self._filled[name] = self._asked
        if isinstance(cell, EvaluationTable):
            cell.drawn = drawn
        if isinstance(cell, StepChart):
            cell.anatomy = EpochAnatomy.of(drawn[0].curves.anatomy) if drawn else ()
        if isinstance(cell, DeviceChart):
            cell.ranks = look_at_ranks(drawn[0].curves.ranks) if drawn else RanksLook()
        if isinstance(cell, Chart):
            cell.data = chart_of(name, drawn, self._view)


def _cell(name: str) -> Widget:
    """A new cell; ids that are no selectors, as names of metrics may be, are left to the grid."""
    id = name if _SELECTOR.fullmatch(name) and (name in PANELS or name == EVALUATION) else None
    if name == EVALUATION:
        return EvaluationTable(id=id, classes="cell")
    return _CHARTS.get(name, Chart)(id=id, classes="cell")


def _without_cursor(view: View) -> View:
    """What charts are made for: where values are read and which other charts there are is nothing to one of them."""
    return replace(view, cursor=None, charts=())


def _are_same(some: Sequence[Drawn], others: Sequence[Drawn]) -> bool:
    """Whether nothing of what is drawn has changed; curves are compared by being the same, which is quick."""
    return len(some) == len(others) and all(
        one.row == other.row
        and one.curves is other.curves
        and len(one.trunk) == len(other.trunk)
        and all(a.curves is b.curves and a.until == b.until for a, b in zip(one.trunk, other.trunk, strict=True))
        for one, other in zip(some, others, strict=True)
    )
