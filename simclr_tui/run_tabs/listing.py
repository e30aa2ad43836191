"""Lines in a frame, of which as many are made as can be seen: with a cursor that stands on some of them, or without."""

from collections.abc import Callable, Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from simclr_tui.theme import cursor_style

_WHEEL = 3


class Listing(Widget, can_focus=False):
    """Keeps its place while lines are added; whoever owns it says where the cursor goes."""

    class Moved(Message):
        """The cursor stands on another line."""

    def __init__(self, *, id: str | None = None) -> None:
        """Args: the widget's id."""
        super().__init__(id=id)
        self._count = 0
        self._line: Callable[[int], Content] = lambda _: Content()
        self._stops: Sequence[int] = ()
        self._at = 0
        self._top = 0
        self.heading: Content | None = None
        """A line that stays above the others."""
        self.follows = False
        """Whether the last line is kept in sight."""

    def fill(self, lines: Sequence[Content]) -> None:
        """Show lines without a cursor."""
        self.show(len(lines), lambda number: lines[number])

    def show(self, count: int, line: Callable[[int], Content], stops: Sequence[int] = ()) -> None:
        """Show so many lines.

        Args:
            count: of lines.
            line: makes one of them, by its number.
            stops: numbers of the lines that the cursor can stand on, in order; without any there is no cursor.
        """
        self._count, self._line, self._stops = count, line, stops
        self._at = min(self._at, max(0, len(stops) - 1))
        self._settle()

    @property
    def cursor(self) -> int:
        """Which of the stops the cursor stands on."""
        return self._at

    @property
    def _height(self) -> int:
        """Lines that can be seen."""
        return max(1, self.content_size.height - (self.heading is not None))

    @property
    def last_top(self) -> int:
        """The first line that is seen where the last one is at the bottom."""
        return max(0, self._count - self._height)

    def move(self, delta: int) -> None:
        """Move the cursor by so many stops or, where there are none, scroll by so many lines."""
        if self._stops:
            self.put(self._at + delta)
            return
        self._top += delta
        self.follows = self.follows and delta >= 0
        self._settle()

    def put(self, at: int) -> None:
        """Put the cursor on a stop."""
        self._at = min(max(0, len(self._stops) - 1), max(0, at))
        self._settle()
        self.post_message(self.Moved())

    def reveal(self, number: int) -> None:
        """Scroll so that a line is seen, with some before it."""
        height = self._height
        if not self._top <= number < self._top + height:
            self._top = number - height // 3
        self.follows = False
        self._settle()

    def _settle(self) -> None:
        """Keep the cursor in sight, and the window within the lines."""
        height = self._height
        if self._stops:
            line = self._stops[self._at]
            # The lines between this stop and the one before belong to it: a heading is seen with its first line.
            first = self._stops[self._at - 1] + 1 if self._at else 0
            self._top = min(self._top, max(first, line - 2))
            self._top = max(self._top, line - height + 1)
        self._top = self.last_top if self.follows else min(self.last_top, max(0, self._top))
        shown = f"{self._top + 1:,}–{min(self._count, self._top + height):,} of {self._count:,}"
        self.border_subtitle = Content(shown) if self._count > height else ""
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._settle()

    def render(self) -> Content:
        """The lines that are in the window."""
        width = max(1, self.content_size.width)
        last = min(self._count, self._top + self._height)
        lines = [self._shown(number, width) for number in range(self._top, last)]
        if self.heading is not None:
            lines.insert(0, self.heading.truncate(width, ellipsis=True))
        return Content("\n").join(lines)

    def _shown(self, number: int, width: int) -> Content:
        line = self._line(number)
        if not self._stops:
            return line.truncate(width, ellipsis=True)
        is_here = number == self._stops[self._at]
        whole = Content.assemble(("▸ " if is_here else "  ", "bold $primary"), line)
        whole = whole.truncate(width, ellipsis=True, pad=is_here)
        return whole.stylize_before(cursor_style(self.app.current_theme)) if is_here else whole

    def on_mouse_scroll_down(self, _event: events.MouseScrollDown) -> None:
        """Further down."""
        self.move(1 if self._stops else _WHEEL)

    def on_mouse_scroll_up(self, _event: events.MouseScrollUp) -> None:
        """Further up."""
        self.move(-1 if self._stops else -_WHEEL)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor under the mouse."""
        offset = event.get_content_offset(self)
        number = self._top - (self.heading is not None) + (offset.y if offset is not None else -1)
        if offset is not None and number in self._stops:
            self.put(list(self._stops).index(number))
