"""The pictures that a terminal shows or may show again, and what it is sent so that it does.

A widget writes cells that stand for parts of a picture (see placeholders); the display hands what it writes through a
gallery, which makes of them what the terminal understands, and sends what it is due beside it.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from rich.style import Style
from textual.strip import Strip

from simclr_tui.terminal.graphics import KITTY, Graphics
from simclr_tui.terminal.pixmap import Pixmap
from simclr_tui.terminal.placeholders import PLACEHOLDER, part
from simclr_tui.terminal.screen_cells import Change, cells_of

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE = 16 << 10
"""Characters beside the text after which the display has its turn again: keys are answered while a picture is sent."""

_MOST_HELD = 4
_MOST_NUMBER = 255

Ask = Callable[[Callable[[], Any], Callable[[Any], None]], None]
"""Does some work in a thread, and then something with its result in the event loop's."""


@dataclass(slots=True, eq=False)
class Held:
    """A picture with the cells that it takes, and what was made of it for the terminal."""

    picture: Pixmap
    columns: int
    lines: int
    made: dict[Hashable, Any] = field(default_factory=dict)


class Gallery:
    """What is the same for all terminals: numbers for pictures, and the cells that stand for them."""

    scales: ClassVar[bool] = False
    """The terminal scales pictures, so that one in another size is the same to it."""

    def __init__(self, graphics: Graphics, ask: Ask) -> None:
        """Args: how the terminal draws, and who does what takes too long for the event loop."""
        self.graphics = graphics
        self._ask = ask
        self._held: dict[int, Held] = {}
        self._numbers: dict[Hashable, int] = {}
        """By what makes a picture another one, the one that was wanted last at the end."""
        self._newest = 0

    def admit(self, picture: Pixmap, columns: int, lines: int) -> int:
        """The number of a picture, by which cells name it; the ones that were wanted longest ago are given up."""
        key = picture if self.scales else (picture, columns, lines)
        number = self._numbers.pop(key, 0)
        if not number:
            number = self._newest = self._newest % _MOST_NUMBER + 1
            self._held[number] = Held(picture, columns, lines)
        self._numbers[key] = number
        held = self._held[number]
        if (held.columns, held.lines) != (columns, lines):
            held.columns, held.lines = columns, lines
            self._reshaped(number)
        while len(self._numbers) > _MOST_HELD:
            self._give_up(next(iter(self._numbers)))
        return number

    def release(self) -> None:
        """Give every picture up: nobody shows one any more."""
        for key in tuple(self._numbers):
            self._give_up(key)

    def _give_up(self, key: Hashable) -> None:
        number = self._numbers.pop(key)
        del self._held[number]
        self._dropped(number)

    def written(self, change: Change, console: "Console") -> str:
        """What is written for a stretch of a line, parts of pictures as this terminal wants them."""
        if not any(PLACEHOLDER in segment.text for segment in change.segments):
            strip = Strip(change.segments)
            self._is_text(change.x, change.y, strip.cell_length)
            return strip.render(console)
        written, x = "", change.x
        for (is_picture, style), group in groupby(
            cells_of(change.segments), lambda cell: (bool(part(cell[0])), cell[1])
        ):
            texts = [text for text, _ in group]
            if is_picture:
                ground = Style(bgcolor=style.bgcolor) if style else Style()
                written += ground.render(self._drawn(texts, x, change.y), color_system=console._color_system)
            else:
                self._is_text(x, change.y, len(texts))
                written += (style or Style()).render("".join(texts), color_system=console._color_system)
            x += len(texts)
        return written

    def _drawn(self, cells: list[str], _x: int, _y: int) -> str:
        """What is written for cells that stand for parts of pictures."""
        return "".join(cells)

    def _is_text(self, x: int, y: int, width: int) -> None:
        """Text is written to some cells."""

    def _reshaped(self, number: int) -> None:
        """A picture takes other cells than before."""

    def _dropped(self, number: int) -> None:
        """Nobody wants a picture any more."""

    @property
    def is_due(self) -> bool:
        """Whether something can be sent now."""
        return False

    def due(self) -> str:
        """What is to be sent behind what was written; "" where there is nothing, or it is still being made."""
        return ""

    def forget(self) -> None:
        """Count nothing as sent: the terminal has lost what it showed."""

    def resize(self, height: int, cell: tuple[int, int] | None) -> None:
        """The terminal has another size.

        Args:
            height: in lines.
            cell: width and height of a cell in pixels, where the kernel knows them and they are others than before.
        """

    def end(self) -> str:
        """What leaves the terminal as it was."""
        return ""


def make_gallery(graphics: Graphics, ask: Ask, height: int) -> Gallery:
    """The gallery for a terminal that draws pictures and has so many lines."""
    if graphics.way == KITTY:
        from simclr_tui.terminal.kitty_gallery import KittyGallery

        return KittyGallery(graphics, ask)
    from simclr_tui.terminal.sixel_gallery import SixelGallery

    return SixelGallery(graphics, ask, height)
