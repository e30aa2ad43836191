"""Sends the terminal what differs from what it shows, and no more than it can take."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.control import Control
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.screen import Screen
from textual.strip import Strip

from simclr_tui.terminal.screen_cells import Change, ScreenCells

if TYPE_CHECKING:
    from textual.events import Resize
    from textual.geometry import Offset

    from simclr_tui.terminal.gallery import Gallery
    from simclr_tui.terminal.graphics import Graphics

_AGAIN_SECONDS = 0.02
"""After so long a terminal that was slow is looked at again."""

_NEXT_SECONDS = 0.005
"""Between two parts of a picture that is sent beside the text."""


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
        self._gallery: Gallery | None = None
        self._window_cell: tuple[int, int] | None = None

    def on_resize(self, event: "Resize") -> None:
        """Whatever the terminal shows now is not what was written to it."""
        size = event.size
        if (size.width, size.height) != (self._cells.width, self._cells.height):
            self._cells = ScreenCells(size.width, size.height)
        else:
            self._cells.forget_shown()
            self._forget_pictures()
        self._resize_pictures(size.height)
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
            self._send_later(_AGAIN_SECONDS)
            return
        pieces = [
            Control.move_to(change.x, change.y).segment.text + self._written(change) for change in self._cells.changes()
        ]
        if self._gallery is not None:
            if beside := self._gallery.due():
                pieces.append(beside)
            if self._gallery.is_due:
                self._send_later(_NEXT_SECONDS)
        pointer = self.screen.outer_size.clamp_offset(self.cursor_position)
        if not pieces and pointer == self._pointer:
            return
        self._pointer = pointer
        if self._sync_available:
            pieces = [SYNC_START, *pieces, Control.move_to(*pointer).segment.text, SYNC_END]
        else:
            pieces.append(Control.move_to(*pointer).segment.text)
        self._driver.write("".join(pieces))  # in one piece: the queue of the driver counts pieces

    def _written(self, change: Change) -> str:
        """A stretch of a line as the terminal takes it."""
        if self._gallery is not None:
            return self._gallery.written(change, self.console)
        return Strip(change.segments).render(self.console)

    def _send_later(self, seconds: float) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self.set_timer(seconds, self._send_again)

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
        self._forget_pictures()
        self._pointer = None
        self._send()

    def _send_again(self) -> None:
        self._is_waiting = False
        self._send()

    @property
    def gallery(self) -> "Gallery | None":
        """What shows pictures, where the terminal can."""
        return self._gallery

    def show_pictures(self, graphics: "Graphics") -> None:
        """Send pictures from now on, as a terminal that can draw them wants them."""
        from simclr_tui.terminal.gallery import make_gallery

        self._window_cell = self._cell_of_window()
        self._gallery = make_gallery(graphics, self._ask, self.size.height)

    def _ask(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        async def ask() -> None:
            then(await asyncio.to_thread(work))
            self._send()

        self.run_worker(ask(), group="pictures", exit_on_error=False)

    def _forget_pictures(self) -> None:
        if self._gallery is not None:
            self._gallery.forget()

    def _resize_pictures(self, height: int) -> None:
        if self._gallery is not None:
            cell = self._cell_of_window()
            self._gallery.resize(height, cell if cell != self._window_cell else None)
            self._window_cell = cell

    def _cell_of_window(self) -> tuple[int, int] | None:
        from simclr_tui.terminal.graphics import window_cell

        return window_cell(getattr(self._driver, "fileno", -1))
