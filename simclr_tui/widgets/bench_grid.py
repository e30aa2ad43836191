"""The trials of a benchmark, one a line, with a cursor; what is said of the chosen one, and the verdict in full."""

from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from simclr_tui.lab.grid import LEGEND, Grid, details
from simclr_tui.theme import MUTED, cursor_style

if TYPE_CHECKING:
    from simclr_tui.lab.bench import Bench


class BenchGrid(Widget, can_focus=False):
    """Draws as many trials as there is room for, the chosen one among them."""

    class Chosen(Message):
        """A trial was clicked."""

        def __init__(self, number: int) -> None:
            """Args: its place among the trials, from 0."""
            super().__init__()
            self.number = number

    def __init__(self, *, id: str, has_cursor: bool = True) -> None:
        """Args: the widget's id, and whether one trial can be chosen."""
        super().__init__(id=id)
        self._bench: Bench | None = None
        self._has_cursor = has_cursor
        self.cursor = 0
        """Place of the chosen trial, from 0."""

    def show(self, bench: "Bench | None") -> None:
        """Show what is known of a benchmark."""
        self._bench = bench
        self.border_subtitle = Content.styled(LEGEND, MUTED)
        self._show_place()
        self.refresh()

    def move(self, delta: int) -> None:
        """Choose another trial."""
        count = len(self._bench.lines) if self._bench else 0
        self.cursor = max(0, min(count - 1, self.cursor + delta))
        self._show_place()
        self.refresh()

    def on_resize(self) -> None:
        """There may be room for others."""
        self._show_place()

    def _show_place(self) -> None:
        """Say in the border which trials are shown, where that is not all of them."""
        count = len(self._bench.lines) if self._bench else 0
        last = min(count, self._first + self._room)
        place = f"  {self._first + 1}–{last} of {count}" if 0 < last - self._first < count else ""
        self.border_title = Content.assemble(("trials", "bold"), (place, MUTED))

    @property
    def _first(self) -> int:
        """The first trial that is shown."""
        return max(0, self.cursor - self._room + 1) if self._has_cursor else 0

    @property
    def _room(self) -> int:
        """Trials that there is room for below the heading."""
        return max(1, self.size.height - 1)

    def render(self) -> Content:
        """A heading and the trials."""
        bench, width = self._bench, self.size.width
        if bench is None:
            return Content.styled("reading the benchmark", MUTED)
        grid = Grid(bench, width)
        lines = [Content.styled(grid.heading, MUTED)]
        for number, line in enumerate(bench.lines):
            if number < self._first:
                continue
            content = Content.assemble(*grid.line(line)).truncate(width, pad=True)
            if self._has_cursor and number == self.cursor:
                theme = self.app.current_theme
                # A bar that is reversed could not be seen any more.
                content = content.stylize(cursor_style(theme), 0, width - grid.bar_cells if theme.ansi else None)
            lines.append(content)
        return Content("\n").join(lines[: max(1, self.size.height)])

    def on_click(self, event: events.Click) -> None:
        """Choose the trial under the mouse."""
        number = event.y - 2 + self._first  # the border and the heading
        if self._has_cursor and self._bench is not None and 0 <= number < len(self._bench.lines):
            self.post_message(self.Chosen(number))

    def chosen(self) -> Content:
        """All that is known of the chosen trial."""
        bench = self._bench
        if bench is None or not bench.lines:
            return Content("")
        line = bench.lines[min(self.cursor, len(bench.lines) - 1)]
        return Content("\n").join(Content.assemble(*parts) for parts in details(bench, line))
