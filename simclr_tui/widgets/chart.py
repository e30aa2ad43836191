"""One chart: a border with title and legend, curves in braille, ticks on both axes, and the reading cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from simclr_tui.charts.reading import fitting, has_readings, place_read, readings, x_figure
from simclr_tui.plot.draw import ChartData, Frame, Row, draw, frame
from simclr_tui.plot.overlay import CROSSED, CURSOR_INK, with_cursor
from simclr_tui.theme import MUTED, RUN_COLOURS

_BESIDE_BORDER_TEXT = 4
"""Cells of a border's line that its text leaves free."""


class Chart(Widget):
    """Draws chart data to its size; what is drawn is kept until data or size change, also while the cursor moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--chance",
        "chart--cursor",
        "chart--mark",
        "chart--warning",
        "chart--error",
        "chart--empty",
        "chart--second",
        *(f"chart--{kind}-{number}" for kind in ("run", "faint") for number in range(RUN_COLOURS)),
    }
    """
    | Class | Description |
    | :- | :- |
    | `chart--axis` | Ticks and their labels. |
    | `chart--chance` | The dashed line of the chance level. |
    | `chart--cursor` | The line at which values are read, and its label. |
    | `chart--mark` | Vertical marks where something happened to a run. |
    | `chart--warning`, `chart--error` | Those of warnings and of errors. |
    | `chart--empty` | The sentence that says why there is no curve. |
    | `chart--second` | The second curve of the cursor's run. |
    | `chart--run-N` | Curves of runs. |
    | `chart--faint-N` | The raw values behind them. |
    """

    ALLOW_SELECT = False  # the mouse pulls a chart, and selects nothing in it

    data: reactive[ChartData | None] = reactive(None)
    """What is drawn."""
    cursor: reactive[float | None] = reactive(None)
    """Where on x values are read; None where none are."""
    axis: str = "epoch"
    """What x counts, for the cursor's label."""

    @dataclass
    class Pointed(Message):
        """A place of a chart was clicked."""

        chart: "Chart"
        x: float | None
        """None where the chart has no shared x."""

    @dataclass
    class Wheeled(Message):
        """The wheel was turned over a place of a chart: up is closer."""

        x: float
        is_closer: bool

    @dataclass
    class Dragged(Message):
        """A chart was pulled sideways by a part of its width, to the right if positive."""

        part: float

    def __init__(self, *, id: str | None = None, classes: str = "") -> None:
        """Args: the widget's id, as a rule one of the panels' names, and its classes."""
        super().__init__(id=id, classes=classes)
        self._strips: list[Strip] = []
        self._painted: tuple[object, ...] = ()
        self._picture: tuple[tuple[object, ...], list[Row], Frame | None] = ((), [], None)
        self._styles_of: tuple[object, ...] = ()
        self._styles: dict[str, Style] = {}
        self._held_at: int | None = None
        self._is_dragged = False

    def watch_data(self, data: ChartData | None) -> None:
        """Keep title and legend in the border."""
        if data is not None:
            self.border_title = Content.assemble((data.title, "bold"), *[(", log", MUTED)] * data.log)
            self._show_legend()

    def watch_cursor(self) -> None:
        """Show the values at the cursor in the place of the legend."""
        self._show_legend()

    def on_resize(self) -> None:
        """Cut the legend to what fits."""
        self._show_legend()

    def _show_legend(self) -> None:
        """What each curve is, or what it says at the cursor; with +N for those that have no room."""
        data = self.data
        if data is None:
            return
        parts = list(data.legend)
        at = place_read(data, self.cursor)
        if at is not None:
            parts = [(f"{one.line.sign} {one.words}", one.line.ink) for one in readings(data.lines, at)]
        self._put_legend(parts)

    def _put_legend(self, parts: Sequence[tuple[str, str]]) -> None:
        """As many texts with their inks as have room."""
        room = self.size.width - _BESIDE_BORDER_TEXT
        shown = [Content.assemble((text, self._colour(ink))) for text, ink in fitting(parts, room)]
        self.border_subtitle = Content("  ").join(shown) if shown else ""

    @staticmethod
    def _colour(ink: str) -> str:
        """The theme variable of an ink."""
        if ink == "second":
            return "$second-curve"
        kind, _, number = ink.partition("-")
        return f"$run-{number}" + (" 55%" if kind == "faint" else "") if number else MUTED

    def render_line(self, y: int) -> Strip:
        """A row of the chart."""
        key = self._state()
        if key != self._painted:
            self._strips = self._rows()
            self._painted = key
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width)

    def _state(self) -> tuple[object, ...]:
        """What the picture follows from."""
        return (self.data, self.size, self.app.theme, self.cursor, self.axis)

    def _rows(self) -> list[Strip]:
        """The whole picture."""
        return self._chart(self.size.height)

    def _chart(self, height: int) -> list[Strip]:
        """The chart in so many rows."""
        if self.data is None:
            return []
        key = (self.data, self.size.width, height)
        if key != self._picture[0]:
            self._picture = (key, draw(self.data, *key[1:]), frame(self.data, *key[1:]))
        _, rows, places = self._picture
        at = place_read(self.data, self.cursor)
        if at is not None and places is not None:
            rows = with_cursor(rows, places, at, f" {x_figure(self.axis, at)} ")
        return self._inked(rows)

    def _inked(self, rows: list[Row]) -> list[Strip]:
        """Rows in the colours of the theme."""
        inks = self._inks()
        blank = self.rich_style
        return [Strip([Segment(text, inks.get(ink, blank)) for text, ink in row]).simplify() for row in rows]

    def _inks(self) -> dict[str, Style]:
        """The style of each ink, also below the cursor; kept, since to look them all up takes longer than to draw."""
        key = (self.app.theme, self.rich_style)
        if key != self._styles_of:
            self._styles_of, self._styles = key, self._looked_up()
        return self._styles

    def _looked_up(self) -> dict[str, Style]:
        names = Chart.COMPONENT_CLASSES
        inks = {name.removeprefix("chart--"): self.get_component_rich_style(name) for name in names}
        below = Style(bgcolor=inks[CURSOR_INK].bgcolor, reverse=inks[CURSOR_INK].reverse)
        return inks | {f"{name}{CROSSED}": style + below for name, style in inks.items()}

    @property
    def columns(self) -> int:
        """Cells that the curves have; 0 where there is none."""
        places = self._places
        return places.columns if places is not None else 0

    @property
    def _places(self) -> Frame | None:
        return self._picture[2]

    def _x_at(self, event: events.MouseEvent) -> float | None:
        """The value of x below the mouse, if all charts share it."""
        offset = event.get_content_offset(self)
        places = self._places
        if offset is None or places is None or self.data is None or not has_readings(self.data):
            return None
        return places.x_at(offset.x)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Hold the chart at a place."""
        self._held_at, self._is_dragged = event.screen_x, False
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Pull the chart that is held."""
        if self._held_at is None or event.screen_x == self._held_at or not self.columns:
            return
        self.post_message(self.Dragged((event.screen_x - self._held_at) / self.columns))
        self._held_at, self._is_dragged = event.screen_x, True

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go of it; where it was not pulled, values are read."""
        if self._held_at is not None:
            self._held_at = None
            self.release_mouse()
            if not self._is_dragged:
                self.post_message(self.Pointed(self, self._x_at(event)))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Look closer."""
        self._wheel(event, is_closer=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Look from further away."""
        self._wheel(event, is_closer=False)

    def _wheel(self, event: events.MouseEvent, *, is_closer: bool) -> None:
        x = self._x_at(event)
        if x is not None:
            event.stop()
            self.post_message(self.Wheeled(x, is_closer))
