"""The chart of the device, with a line below it for each rank where several processes train the run."""

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from simclr_tui.run.ranks import SIGN, RanksLook, short_rows
from simclr_tui.widgets.chart import Chart

_CHART_ROWS = 4
"""That the chart keeps before a rank takes one."""


class DeviceChart(Chart):
    """A chart over lines of words."""

    ranks: reactive[RanksLook] = reactive(RanksLook())
    """Of the cursor's run."""

    def _state(self) -> tuple[object, ...]:
        return (*super()._state(), self.ranks)

    def _rows(self) -> list[Strip]:
        width, height = self.size
        lines = short_rows(self.ranks, width, max(0, height - _CHART_ROWS))
        below = [Strip([Segment(line.ljust(width), self._style(line))]) for line in lines]
        return self._chart(height - len(below)) + below

    def _style(self, line: str) -> Style:
        name = "warning" if line.startswith(SIGN) else "axis"
        return self.get_component_rich_style(f"chart--{name}")
