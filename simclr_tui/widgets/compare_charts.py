"""Charts of compared runs: loss and kNN with all runs in one, the loss of each in its own, or settings and results."""

from collections.abc import Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.panels import knn_panel, loss_panel
from simclr_tui.compare.coordinates import coordinates
from simclr_tui.compare.table import Comparison
from simclr_tui.plot.draw import ChartData
from simclr_tui.widgets.chart import Chart
from simclr_tui.widgets.coordinates_chart import CoordinatesChart

_NARROWEST = 20
"""Cells that a small chart needs."""


_TOGETHER, _EACH, _COORDINATES = _KINDS = ("together", "each its own", "settings against results")


class CompareCharts(Container):
    """Two charts, as many small ones with the same axes as there are runs, or parallel coordinates."""

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._kind = _TOGETHER
        self._drawn: Sequence[Drawn] = ()
        self._view = View()
        self.rows = 1
        """Rows that the charts fill."""
        self._width = 0
        self._is_beside = False

    def compose(self) -> ComposeResult:
        """The two charts of all runs; the others come when they are asked for."""
        yield Chart(id="compare-loss", classes="cell")
        yield Chart(id="compare-knn", classes="cell")

    def turn(self) -> None:
        """All runs in one chart, then each in its own, then what was set against what came of it."""
        self._kind = _KINDS[(_KINDS.index(self._kind) + 1) % len(_KINDS)]

    def show(
        self, drawn: Sequence[Drawn], comparison: Comparison | None, view: View, *, width: int, is_beside: bool
    ) -> None:
        """Bring the charts up to date; they have that width, beside the table or above it."""
        self._drawn, self._view = drawn, replace(view, window=None, cursor=None)
        self._width, self._is_beside = width, is_beside
        self._show_coordinates(comparison)
        whole = (self.query_one("#compare-loss", Chart), self.query_one("#compare-knn", Chart))
        small = list(self.query(".small").results(Chart))
        wanted = len(drawn) if self._kind == _EACH else 0
        for chart in small[wanted:]:
            chart.remove()
        if wanted > len(small):
            small += self._mounted(wanted - len(small))
        for chart in whole:
            chart.display = self._kind == _TOGETHER
        self._arrange(wanted)
        if self._kind == _EACH:
            for chart, data in zip(small, small_multiples(drawn, self._view), strict=False):
                chart.axis, chart.data = self._view.axis, data
        if self._kind == _TOGETHER:
            for chart, panel in zip(whole, (loss_panel, knn_panel), strict=True):
                chart.axis, chart.data = self._view.axis, panel(drawn, self._view)

    def _show_coordinates(self, comparison: Comparison | None) -> None:
        """Made when it is first asked for, as most comparisons never do."""
        chart = next(iter(self.query(CoordinatesChart)), None)
        is_shown = self._kind == _COORDINATES
        if chart is None and is_shown:
            chart = CoordinatesChart(id="compare-coordinates", classes="cell")
            self.mount(chart)
        if chart is not None:
            chart.display = is_shown
            if is_shown and comparison is not None:
                chart.show(coordinates(comparison))

    def _mounted(self, count: int) -> list[Chart]:
        taken = len(self.query(".small"))
        fresh = [Chart(id=f"small-{taken + number}", classes="cell small") for number in range(count)]
        self.mount(*fresh)
        return fresh

    def _arrange(self, small: int) -> None:
        """So many columns as small charts have room for, evenly filled rows; two where all runs are in one,
        below each other beside the table; parallel coordinates have all of it."""
        if self._kind == _COORDINATES:
            self.rows = 1
            self.styles.grid_size_columns = self.styles.grid_size_rows = 1
            return
        if not small:
            self.rows = 2 if self._is_beside else 1
            self.styles.grid_size_columns, self.styles.grid_size_rows = 2 // self.rows, self.rows
            return
        fitting = max(1, self._width // _NARROWEST)
        self.rows = -(-small // fitting)
        self.styles.grid_size_columns, self.styles.grid_size_rows = -(-small // self.rows), self.rows


def small_multiples(drawn: Sequence[Drawn], view: View) -> list[ChartData]:
    """The loss of each run in a chart of its own, all on the same axes, each named after its run."""
    charts = [loss_panel([one], view) for one in drawn]
    full = [data for data in charts if data.lines]
    if not full:
        return [replace(data, title=_title(one)) for one, data in zip(drawn, charts, strict=True)]
    x = (min(data.x_range[0] for data in full), max(data.x_range[1] for data in full))
    y = (min(data.y_range[0] for data in full), max(data.y_range[1] for data in full))
    return [
        replace(data, title=_title(one), legend=(), x_range=x, y_range=y)
        for one, data in zip(drawn, charts, strict=True)
    ]


def _title(one: Drawn) -> str:
    return f"{one.sign} {one.row.run.name}"
