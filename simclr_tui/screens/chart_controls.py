"""The keys of the charts: axes, and which one is shown where there is room for one only."""

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.drawn import AXES
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.widgets.chart_grid import ChartGrid


class ChartControls(BoardKeys):
    """Mixed into screens with a grid of charts."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "log", id="charts.log", tooltip="Loss and step time on a logarithmic scale, or linear"),
        Binding("x", "x_axis", "axis", id="charts.axis", tooltip="Charts over epochs, or over steps"),
        Binding("left_square_bracket", "chart(-1)", "chart", id="charts.previous", tooltip="The chart before"),
        Binding("right_square_bracket", "chart(1)", "chart", id="charts.next", tooltip="The next chart"),
    ]

    def action_log(self) -> None:
        """Change between a linear and a logarithmic y axis."""
        self.board.view = replace(self.board.view, log=not self.board.view.log)
        self.show_board()

    def action_x_axis(self) -> None:
        """Change between epochs and steps."""
        view = self.board.view
        self.board.view = replace(view, axis=AXES[(AXES.index(view.axis) + 1) % len(AXES)])
        self.show_board()

    def action_chart(self, delta: int) -> None:
        """Show the next chart where there is room for one only."""
        self.query_one(ChartGrid).turn(delta)
