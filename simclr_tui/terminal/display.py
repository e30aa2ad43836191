"""Sends the terminal what differs from what it shows, and no more than it can take."""

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.control import Control
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

from simclr_tui.terminal.screen_cells import ScreenCells

if TYPE_CHECKING:
    from textual.events import Resize
    from textual.geometry import Offset

_AGAIN_SECONDS = 0.02
"""After so long a terminal that was slow is looked at again."""


class ThriftyDisplay(App[str]):
    """An app whose pictures are compared with what the terminal shows; one that it has no time for is left out.

    Textual paints whole lines of a widget. A clock that ticks would send the whole first line each second, and a slow
    link would hold up the event loop as soon as its queue of writes is full.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Args: those of Textual's app."""
        super().__init__(*arguments, **options)
        self._cells = ScreenCells(0, 0)
        self._is_waiting = False
        self._pointer: Offset | None = None
        self._shape = "default"

    def on_resize(self, event: "Resize") -> None:
        """Whatever the terminal shows now is not what was written to it."""
        size = event.size
        if (size.width, size.height) != (self._cells.width, self._cells.height):
            self._cells = ScreenCells(size.width, size.height)
        else:
            self._cells.forget_shown()
        self._pointer = None
        self.call_after_refresh(self._send)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Take a picture from Textual's compositor, in the place of writing all of it."""
        is_picture = isinstance(renderable, ChopsUpdate | LayoutUpdate)
        if not is_picture or self.is_headless or self._driver is None or self._driver.is_inline or self._batch_count:
            super()._display(screen, renderable)
            return
        if not self._running or self._closed:
            return
        if self._cells.width == 0:
            self._cells = ScreenCells(self.size.width, self.size.height)
        if isinstance(renderable, LayoutUpdate):
            self._take_layout(renderable)
        elif isinstance(renderable, ChopsUpdate):
            self._take_chops(renderable)
        self._send()
        self.post_display_hook()

    def _take_layout(self, update: LayoutUpdate) -> None:
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                self._cells.want(x, y, strip)
                x += strip.cell_length

    def _take_chops(self, update: ChopsUpdate) -> None:
        for y, start, end in update.spans:
            for stop, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x <= end and stop > start:
                    self._cells.want(x, y, strip.crop(0, min(stop, end) - x))

    def _send(self) -> None:
        """Write what differs, or wait for a terminal that is behind."""
        if self._driver is None or self.is_headless or not self._running or self._closed:
            return
        if self._is_behind:
            if not self._is_waiting:
                self._is_waiting = True
                self.set_timer(_AGAIN_SECONDS, self._send_again)
            return
        changes = self._cells.changes()
        pointer = self.screen.outer_size.clamp_offset(self.cursor_position)
        if not changes and pointer == self._pointer:
            return
        pieces = [
            Control.move_to(change.x, change.y).segment.text + Strip(change.segments).render(self.console)
            for change in changes
        ]
        self._pointer = pointer
        if self._sync_available:
            pieces = [SYNC_START, *pieces, Control.move_to(*pointer).segment.text, SYNC_END]
        else:
            pieces.append(Control.move_to(*pointer).segment.text)
        self._driver.write("".join(pieces))  # in one piece: the queue of the driver counts pieces

    @property
    def _is_behind(self) -> bool:
        """Whether the terminal has not taken yet what was written before."""
        return bool(getattr(self._driver, "is_behind", False))

    def _set_pointer_shape(self, shape: str) -> None:
        """Change the mouse's pointer if it changes; Textual says it anew at every change of the screen."""
        if shape != self._shape and not self._is_behind:
            self._shape = shape
            super()._set_pointer_shape(shape)

    def redraw(self) -> None:
        """Send the whole screen once more; something else may have written to the terminal."""
        self._cells.forget_shown()
        self._pointer = None
        self._send()

    def _send_again(self) -> None:
        self._is_waiting = False
        self._send()
