"""The chart of step times, with the newest epochs below it, each as a stacked bar of its parts."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from simclr_tui.run.anatomy import EpochAnatomy
from simclr_tui.widgets.chart import Chart

_INKS = ("work-0", "work-1", "wait", "aside-0", "aside-1", "unexplained")
_CHART_ROWS = 4
"""That the chart keeps before a legend takes one."""
_LEGEND_ROWS = 3
_FEWEST_CELLS = 8
"""Of a bar; its title is left out before it is shorter."""


class StepChart(Chart):
    """A chart over bars, in which each part has its letter and, where there is room, its name and share."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"step-chart--{ink}" for ink in _INKS}
    """
    | Class | Description |
    | :- | :- |
    | `step-chart--work-N` | Parts of a step, in turn. |
    | `step-chart--wait` | Waiting for data, and the start of the epoch. |
    | `step-chart--aside-N` | Logging, checkpoints and evaluation, in turn. |
    | `step-chart--unexplained` | What is in no part. |
    """

    anatomy: reactive[Sequence[EpochAnatomy]] = reactive(())
    """The newest epochs of the cursor's run, the oldest first."""

    def _state(self) -> tuple[object, ...]:
        return (*super()._state(), self.anatomy)

    def _rows(self) -> list[Strip]:
        """The chart and, below it, as many bars with as much of their legend as there is room for."""
        width, height = self.size
        if not self.anatomy or height < 3:
            return self._chart(height)
        bars = [self._bar(one, width) for one in self.anatomy[-max(1, (height - 8) // 3) :]]
        room = min(_LEGEND_ROWS, max(0, height - _CHART_ROWS - len(bars)))
        legend = [Strip([self._text(line.ljust(width))]) for line in self.anatomy[-1].legend(width)[:room]]
        return self._chart(height - len(bars) - len(legend)) + bars + legend

    def _bar(self, anatomy: EpochAnatomy, width: int) -> Strip:
        title = f"{anatomy.title()} "
        if width - len(title) < _FEWEST_CELLS:
            title = ""
        bar = anatomy.bar(width - len(title))
        pieces = [Segment(text, self._ink(f"step-chart--{ink}")) for text, ink in bar]
        return Strip([self._text(title), *pieces]).simplify()

    def _text(self, text: str) -> Segment:
        return Segment(text, self._ink("chart--axis"))

    def _ink(self, name: str) -> Style:
        return self.get_component_rich_style(name)
