"""What a screen with a grid of charts does without a key: show them, follow the newest step, keep the look."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simclr_tui.charts import reading
from simclr_tui.charts.choice import REMEMBERED, restored, to_keep
from simclr_tui.charts.drawn import Drawn
from simclr_tui.charts.reading import Extent
from simclr_tui.keys import key
from simclr_tui.screens.mixin import BoardKeys
from simclr_tui.widgets.chart_grid import ChartGrid

if TYPE_CHECKING:
    from simclr_tui.screens.chart_full import ChartFullScreen

_remembering = threading.Lock()


class Charted(BoardKeys):
    """The part of such screens below their keys."""

    chart_screen: "ChartFullScreen | None" = None
    """The screen above this one that shows one chart, if it is open."""

    @property
    def chart_grid(self) -> ChartGrid | None:
        """The grid, if this screen has made it."""
        return next(iter(self.query(ChartGrid)), None)

    @property
    def chart_width(self) -> int:
        """The width in cells of the widest chart that is looked at."""
        grid = self.chart_grid
        return max(grid.chart_width if grid else 0, self.chart_screen.chart_width if self.chart_screen else 0)

    def restore_charts(self) -> None:
        """Look at charts as the last time."""
        self.board.view = restored(self.board.view, self.dashboard.remembered.get)

    def show_charts(self) -> None:
        """Bring the charts up to date with the board: those on top, since nobody sees the others."""
        drawn = self.board.drawn
        self._follow_newest(drawn)
        if self.chart_screen is not None:
            self.chart_screen.show_charts()
            return
        grid = self.chart_grid
        if grid is not None and not self._is_covered:
            grid.show(drawn, self.board.view)
            self.tell_look()

    @property
    def _is_covered(self) -> bool:
        """Whether another screen leaves nothing of this one to be seen."""
        stack = self.app.screen_stack
        return self in stack and not all(one.is_modal for one in stack[stack.index(self) + 1 :])

    def on_screen_resume(self) -> None:
        """Show what has come while another screen lay above."""
        self.call_after_refresh(self.show_charts)

    def _follow_newest(self, drawn: Sequence[Drawn]) -> None:
        """Move a window that touches the newest end along with it."""
        board, view = self.board, self.board.view
        if not all(one.curves.is_read for one in drawn):
            return  # how far they reach is not known yet
        now = Extent.of(drawn, view)
        before, board.extent = board.extent, now
        if view.window is None or before is None or now.whole == before.whole:
            return
        same = now.key == before.key
        window = reading.followed(view.window, before.whole, now.whole) if same else view.window
        board.view = replace(view, window=window if reading.overlaps(window, now.whole) else None)

    def tell_look(self) -> None:
        """Say above the charts which part of x is shown, and where values are read."""
        grid, view, extent = self.chart_grid, self.board.view, self.board.extent
        if grid is not None and extent is not None:
            grid.tell(reading.look_words(view, extent.whole))

    def look_at_charts(self, **changes: Any) -> None:
        """Look at charts in another way."""
        self.board.view = replace(self.board.view, **changes)
        if changes.keys() & set(REMEMBERED):
            self.dashboard.do(self._keep_chart_look)
        self.show_board()

    def _keep_chart_look(self) -> None:
        """Keep how charts are looked at now. Runs in a thread."""
        with _remembering:
            for name, value in to_keep(self.board.view).items():
                self.dashboard.remembered.put(name, value)

    def chart_extent(self, *, unseen: bool = False) -> Extent | None:
        """What is drawn, if keys of charts mean anything; else it is said why not.

        Args:
            unseen: whether charts may be out of sight.
        """
        row, grid = self.board.cursor, self.chart_grid
        if row is not None and row.run.kind == "benchmark":
            self.notify(f"a benchmark has no curves; {key('b', 'run.benchmark')} shows its trials", severity="warning")
        elif row is None:
            self.notify(f"no run is chosen, so there is no chart; {key('n', 'runs.new')} makes one", severity="warning")
        elif not unseen and (grid is None or not grid.region):
            self.notify(
                f"no chart is in sight; {key('z', 'charts.full')} shows one on the whole screen", severity="warning"
            )
        else:
            return Extent.of(self.board.drawn, self.board.view)
        return None
