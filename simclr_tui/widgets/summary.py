"""The cursor's run in three lines: progress, whether it learns, and which runs are drawn."""

import time
from collections.abc import Sequence

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from simclr_tui.charts.drawn import Drawn
from simclr_tui.format import bar, count
from simclr_tui.keys import key
from simclr_tui.learning.verdict import learning_line
from simclr_tui.theme import MUTED
from simclr_tui.words import Part, checkpoint_words, failure, is_inexact, settings_words, status_line

_BAR_CELLS = 8


class RunSummary(Widget):
    """What a person wants to know of a run within two seconds."""

    drawn: reactive[Sequence[Drawn]] = reactive(())
    """The drawn runs, the cursor's first."""

    _shown = Content()

    def watch_drawn(self, drawn: Sequence[Drawn]) -> None:
        """Keep the run's name and id in the border."""
        one = drawn[0] if drawn else None
        self.border_title = Content.assemble((f"{one.sign} {one.row.run.name}", f"bold ${one.ink}")) if one else ""
        self.border_subtitle = Content.assemble((one.row.run.id, MUTED)) if one else ""

    def on_mount(self) -> None:
        """Let the time that is left go on."""
        self.set_interval(5.0, self.keep_time)

    def keep_time(self) -> None:
        """Paint the lines if the time has changed what they say."""
        if not self._lines().is_same(self._shown):
            self.refresh()

    def render(self) -> Content:
        """Three lines."""
        self._shown = self._lines()
        return self._shown

    def _lines(self) -> Content:
        if not self.drawn:
            return Content("")
        one, width, now = self.drawn[0], max(1, self.size.width), time.time()
        status = self._status(one, width, now)
        learning = Content.assemble(*learning_line(one.row, one.curves, width))
        if one.row.run.kind == "benchmark":
            opens = f"{key('b', 'run.benchmark')} opens the laboratory: trials, verdict, apply"
            learning = Content.styled(opens, "bold")
        problem = Content.styled(self._problem(one, now), "$error")
        if len(self.drawn) > 1:
            rest = [problem or learning, self._legend()]
        elif one.row.state == "failed" and problem.cell_length > width:
            rest = _in_two(problem, width)  # what to do stands at its end
        else:
            rest = [learning, problem or self._about(one)]
        lines = _in_two(status, width) if one.row.state == "stalled" and status.cell_length > width else [status]
        lines += rest[len(lines) - 1 :]
        return Content("\n").join(line.truncate(width, ellipsis=True) for line in lines)

    def _problem(self, one: Drawn, now: float) -> str:
        """What stands in the way of the cursor's run, if anything."""
        return (failure(one.curves) if one.row.state == "failed" else "") or checkpoint_words(one.curves, now)

    def _status(self, one: Drawn, width: int, now: float) -> Content:
        """State and what is left to do, behind as much of its progress as there is room for."""
        status, progress = Content.assemble(*status_line(one.row, one.curves, now)), one.row.progress
        if progress is None:
            return status
        # Of a run that is finished the part would say the same twice.
        part = "" if one.row.state == "finished" else f"{100 * progress:.0f} % · "
        for ahead in ([(bar(progress, _BAR_CELLS), f"${one.ink} on $panel"), f" {part}"], [part]):
            line = Content.assemble(*ahead, status)
            if line.cell_length <= width or one.row.state == "stalled":  # which has two lines
                return line
        return status

    def _about(self, one: Drawn) -> Content:
        words = settings_words(one.row)
        if one.trunk:
            words = f"└ {one.trunk[-1].row.run.name}, step {count(one.trunk[-1].until)} · {words}"
        doubt: list[Part] = [("bits not promised", "$warning"), " · "] if is_inexact(one.row.run) else []
        return Content.assemble(*doubt, (words, MUTED))

    def _legend(self) -> Content:
        parts: list[Part] = []
        for one in self.drawn:
            parts += [(f"{one.sign} {one.row.run.name}", f"${one.ink}"), "   "]
        return Content.assemble(*parts)


def _in_two(text: Content, width: int) -> list[Content]:
    """A text over two lines, whatever is too much for them at the end of the second."""
    first, *others = (line.rstrip() for line in text.wrap(width))
    return [first, Content(" ").join(others)]
