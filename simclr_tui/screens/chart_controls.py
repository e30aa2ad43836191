"""The keys of the charts: axes, window, reading cursor, smoothing, which ones are shown and which has the keys."""

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType

from simclr_tui.charts import reading
from simclr_tui.charts.choice import to_choose
from simclr_tui.charts.ids import AXES
from simclr_tui.charts.reading import Extent
from simclr_tui.keys import key
from simclr_tui.screens.charted import Charted
from simclr_tui.widgets.chart import Chart

_CLOSER, _FURTHER = 0.5, 2.0
_PAN = 0.25
"""Part of a window by which it is moved."""


class ChartControls(Charted):
    """Mixed into screens with a grid of charts, which call `show_charts` wherever something of the board changed."""

    KEYS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "log", id="charts.log", tooltip="Charts on a logarithmic y axis, or a linear one"),
        Binding(
            "x", "x_axis", "axis", id="charts.axis", tooltip="Charts over epochs, steps, wall time or time trained"
        ),
        Binding("left_square_bracket", "chart(-1)", "chart", id="charts.previous", tooltip="The chart before"),
        Binding("right_square_bracket", "chart(1)", "chart", id="charts.next", tooltip="The next chart"),
        Binding("z", "full_chart", "full", id="charts.full", tooltip="The chart on the whole screen, with its figures"),
        Binding("V", "choose_charts", "charts", id="charts.choose", tooltip="Which charts are shown, and their order"),
        Binding("left", "read(-1)", "read", show=False, id="charts.read-left", tooltip="Read values further left"),
        Binding("right", "read(1)", "read", show=False, id="charts.read-right", tooltip="Read values further right"),
        Binding("plus,equals_sign", "zoom(True)", "closer", show=False, id="charts.closer", tooltip="Zoom in on x"),
        Binding("minus", "zoom(False)", "further", show=False, id="charts.further", tooltip="Zoom out on x"),
        Binding("shift+left", "pan(-1)", "earlier", show=False, id="charts.earlier", tooltip="What came before on x"),
        Binding("shift+right", "pan(1)", "later", show=False, id="charts.later", tooltip="What came after on x"),
        Binding("0", "whole", "all", show=False, id="charts.whole", tooltip="All of x again, following the newest"),
        Binding("w", "smoothing", "smooth", show=False, id="charts.smoothing", tooltip="Smooth curves more, or not"),
    ]

    def action_log(self) -> None:
        """Change between a linear and a logarithmic y axis."""
        if self.chart_extent():
            self.look_at_charts(log=not self.board.view.log)

    def action_x_axis(self) -> None:
        """Change what x counts; window and cursor are places on the axis before, so they go."""
        if self.chart_extent():
            following = (AXES.index(self.board.view.axis) + 1) % len(AXES)
            self.look_at_charts(axis=AXES[following], window=None, cursor=None)

    def action_smoothing(self) -> None:
        """Smooth curves over more of x, and after the most not at all."""
        if self.chart_extent():
            self.look_at_charts(smoothing=reading.next_smoothing(self.board.view.smoothing))

    def action_chart(self, delta: int) -> None:
        """Give the keys to the next chart, and turn to its page."""
        if self.chart_extent() and self.chart_grid is not None:
            if len(self.board.view.charts) < 2:
                self.notify(f"this is the only chart; {key('V', 'charts.choose')} chooses others", severity="warning")
            self.chart_grid.turn(delta)
            self.tell_look()
            self.charts_turned()

    def charts_turned(self) -> None:
        """Another chart has the keys."""

    def action_read(self, delta: int) -> None:
        """Move the reading cursor over all charts, with the window where it would leave it."""
        extent, grid, view = self.chart_extent(), self.chart_grid, self.board.view
        if extent is None or grid is None:
            return
        shown = view.window or extent.whole
        cursor, window = reading.moved(view.cursor, shown, extent.whole, grid.columns, delta)
        if window != shown:
            self.board.view = replace(view, window=window, cursor=cursor)
            self.show_board()
        else:
            self.read_at(cursor)

    def read_at(self, cursor: float | None) -> None:
        """Read values at a place, or nowhere; the curves stay as they are."""
        self.board.view = replace(self.board.view, cursor=cursor)
        if self.chart_grid is not None:
            self.chart_grid.point(self.board.view)
            self.tell_look()

    def drop_cursor(self) -> bool:
        """Take the reading cursor away; whether there was one."""
        if self.board.view.cursor is None:
            return False
        self.read_at(None)
        return True

    def action_zoom(self, is_closer: bool) -> None:
        """Look closer at the reading cursor or the newest end, or from further away."""
        extent, view = self.chart_extent(), self.board.view
        if extent is not None:
            at = view.cursor if view.cursor is not None else extent.whole[1]
            self._zoom_charts(extent, at, is_closer=is_closer)

    def _zoom_charts(self, extent: Extent, at: float, *, is_closer: bool) -> None:
        before = self.board.view.window
        factor = _CLOSER if is_closer else _FURTHER
        window = reading.zoomed(before, extent.whole, factor, at, smallest=extent.smallest)
        if window == before:
            words = "no closer than a few steps" if is_closer else "all of x is shown; + zooms in"
            self.notify(words, severity="warning")
            return
        self.look_at_charts(window=window)

    def action_pan(self, delta: int) -> None:
        """Show what came before or after."""
        extent, window = self.chart_extent(), self.board.view.window
        if extent is not None:
            if window is None:
                self.notify("all of x is shown; + zooms in", severity="warning")
            else:
                self._pan_charts(extent, window, delta * _PAN)

    def _pan_charts(self, extent: Extent, window: reading.Window, part: float) -> None:
        moved = reading.panned(window, extent.whole, part)
        if moved == window:
            self.notify("this is the newest end" if part > 0 else "this is the beginning", severity="warning")
        else:
            self.look_at_charts(window=moved)

    def action_whole(self) -> None:
        """Show all of x, which follows the newest step."""
        if self.chart_extent():
            if self.board.view.window is None:
                self.notify("all of x is shown; + zooms in", severity="warning")
            else:
                self.look_at_charts(window=None)

    def action_full_chart(self) -> None:
        """Give the current chart the whole screen."""
        if not self.chart_extent(unseen=True):
            return
        from simclr_tui.screens.chart_full import ChartFullScreen

        grid = self.chart_grid
        self.chart_screen = ChartFullScreen(self.board, grid.current if grid is not None else "")
        self.app.push_screen(self.chart_screen, self._leave_full_chart)

    def _leave_full_chart(self, _: object) -> None:
        """Go on with the chart that was shown last."""
        above, self.chart_screen = self.chart_screen, None
        if above is not None and self.chart_grid is not None:
            self.chart_grid.make_current(above.current)
        self.show_board()

    def action_choose_charts(self) -> None:
        """Ask which charts are shown, and in which order."""
        if not self.chart_extent(unseen=True):
            return
        from simclr_tui.screens.pick import Item, PickScreen

        def take(chosen: list[str] | None) -> None:
            if chosen:
                self.look_at_charts(charts=tuple(chosen))
            elif chosen is not None:
                self.notify("one chart at least has to be there, so it stays as it was", severity="warning")

        view = self.board.view
        items = [Item(*one) for one in to_choose(self.board.drawn, view)]
        self.app.push_screen(PickScreen("charts that are shown", items, view.charts, many=True), take)

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        """Read values where the mouse was, and give the keys to that chart."""
        grid = self.chart_grid
        name = grid.id_of(event.chart) if grid is not None else None
        if grid is None or name is None:
            return
        grid.make_current(name)
        if event.x is not None:
            self.read_at(event.x)

    def on_chart_wheeled(self, event: Chart.Wheeled) -> None:
        """Look closer at what is below the mouse, or from further away."""
        extent = self.chart_extent()
        if extent is not None and (event.is_closer or self.board.view.window is not None):
            self._zoom_charts(extent, event.x, is_closer=event.is_closer)

    def on_chart_dragged(self, event: Chart.Dragged) -> None:
        """Pull the window along with the mouse."""
        extent, window = self.chart_extent(), self.board.view.window
        if extent is not None and window is not None:
            moved = reading.panned(window, extent.whole, -event.part)
            if moved != window:
                self.look_at_charts(window=moved)
