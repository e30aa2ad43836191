"""The curves of compared runs: loss and kNN with all runs in one chart, or the loss of each in a chart of its own."""

from collections.abc import Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import Container

from simclr_tui.charts.drawn import Drawn, View
from simclr_tui.charts.panels import knn_panel, loss_panel
from simclr_tui.plot.draw import ChartData
from simclr_tui.widgets.chart import Chart

_NARROWEST = 20
"""Cells that a small chart needs."""


class CompareCharts(Container):
    """Two charts, or as many small ones with the same axes as there are runs."""

    def __init__(self, *, id: str) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._is_split = False
        self._drawn: Sequence[Drawn] = ()
        self._view = View()
        self.rows = 1
        """Rows that the charts fill."""
        self._width = 0
        self._is_beside = False

    def compose(self) -> ComposeResult:
        """The two charts of all runs; small ones come when they are asked for."""
        yield Chart(id="compare-loss", classes="cell")
        yield Chart(id="compare-knn", classes="cell")

    def toggle(self) -> None:
        """All runs in one chart, or each in its own."""
        self._is_split = not self._is_split

    def show(self, drawn: Sequence[Drawn], view: View, *, width: int, is_beside: bool) -> None:
        """Bring the charts up to date; they have that width, beside the table or above it."""
        self._drawn, self._view = drawn, replace(view, window=None, cursor=None)
        self._width, self._is_beside = width, is_beside
        whole = (self.query_one("#compare-loss", Chart), self.query_one("#compare-knn", Chart))
        small = list(self.query(".small").results(Chart))
        wanted = len(drawn) if self._is_split else 0
        for chart in small[wanted:]:
            chart.remove()
        if wanted > len(small):
            small += self._mounted(wanted - len(small))
        for chart in whole:
            chart.display = not self._is_split
        self._arrange(wanted)
        if self._is_split:
            for chart, data in zip(small, small_multiples(drawn, self._view), strict=False):
                chart.axis, chart.data = self._view.axis, data
            return
        for chart, panel in zip(whole, (loss_panel, knn_panel), strict=True):
            chart.axis, chart.data = self._view.axis, panel(drawn, self._view)

    def _mounted(self, count: int) -> list[Chart]:
        taken = len(self.query(".small"))
        fresh = [Chart(id=f"small-{taken + number}", classes="cell small") for number in range(count)]
        self.mount(*fresh)
        return fresh

    def _arrange(self, small: int) -> None:
        """So many columns as small charts have room for, evenly filled rows; two where all runs are in one,
        below each other beside the table."""
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
