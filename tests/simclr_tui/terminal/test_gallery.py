"""Pictures on a screen that is written to at random: what the terminal shows at the end is what is wanted."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from simclr_tui.terminal.gallery import AT_ONCE, Gallery, make_gallery
from simclr_tui.terminal.graphics import KITTY, SIXEL, Graphics
from simclr_tui.terminal.pixmap import Pixmap, means
from simclr_tui.terminal.placeholders import line, part
from simclr_tui.terminal.screen_cells import ScreenCells
from tests.simclr_tui.drawing_terminal import CELL, Canvas

WIDTH, HEIGHT = 30, 12
ALIKE = 1.3
"""Levels that Sixel's registers, in percent, can't tell apart."""
WAYS = pytest.mark.parametrize("graphics", [Graphics(KITTY, CELL), Graphics(SIXEL, CELL)], ids=["kitty", "sixel"])


def few_colours(seed: int, width: int = 96, height: int = 64) -> Pixmap:
    """A picture of random tiles, as many pixels as the cells that it will take, in no more colours than registers."""
    draw = np.random.default_rng(seed)
    palette = draw.permutation(1 << 15)[:200]
    levels = np.stack([palette >> 10 << 3, (palette >> 5 & 31) << 3, (palette & 31) << 3], axis=1).astype(np.uint8)
    tiles = levels[draw.integers(0, 200, (height // 4, width // 4))]
    return Pixmap(width, height, tiles.repeat(4, 0).repeat(4, 1).tobytes())


class ForgetfulCanvas(Canvas):
    """tmux's: text in a cell of a picture takes all of that picture's sequence away."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.painted: list[tuple[slice, slice]] = []

    def _paint(self, dcs: str) -> None:
        x, y = self._x * self.cell[0], self._y * self.cell[1]
        width, height = map(int, dcs.partition('"1;1;')[2].partition("#")[0].split(";"))
        self.painted.append((slice(y, y + height), slice(x, x + width)))
        super()._paint(dcs)

    def _put(self, character: str) -> None:
        x, y = self._x * self.cell[0], self._y * self.cell[1]
        for area in tuple(self.painted):
            rows, columns = area
            if rows.start <= y < rows.stop and columns.start <= x < columns.stop:
                self.pixels_HWC[rows, columns] = -1
                self.painted.remove(area)
        super()._put(character)


@dataclass
class Screen:
    """What the display does: cells, what of them is written, and what is due beside it."""

    gallery: Gallery
    cells: ScreenCells
    canvas: Canvas
    console: Console
    written: str = ""

    def send(self) -> str:
        """Send what differs, and all that is due."""
        sent = "".join(
            f"\x1b[{change.y + 1};{change.x + 1}H{self.gallery.written(change, self.console)}"
            for change in self.cells.changes()
        )
        sent += self.gallery.due()
        while self.gallery.is_due:
            sent += self.gallery.due()
        self.canvas.write(sent.encode())
        self.written += sent
        return sent

    def show(self, picture: Pixmap, x: int, y: int, columns: int, lines: int) -> int:
        """Write a picture's cells."""
        number = self.gallery.admit(picture, columns, lines)
        for row in range(lines):
            self.cells.want(x, y + row, [Segment(line(number, columns, row), Style(bgcolor="red"))])
        return number

    def type(self, x: int, y: int, width: int, height: int, character: str) -> None:
        """Write text over a rectangle."""
        for row in range(y, y + height):
            self.cells.want(x, row, [Segment(character * width, Style(bold=True))])

    def wanted(self, pictures: dict[int, Pixmap]) -> NDArray[np.int16]:
        """The pixels that a person should see, cell by cell."""
        seen: NDArray[np.int16] = np.full((HEIGHT * CELL[1], WIDTH * CELL[0], 3), -1, np.int16)
        scaled: dict[int, NDArray[np.uint8]] = {}
        for y, cells in enumerate(self.cells._wanted):
            for x, (text, _) in enumerate(cells):
                if found := part(text):
                    number, column, row = found
                    held = self.gallery._held[number]
                    if number not in scaled:
                        scaled[number] = means(pictures[number], held.columns * CELL[0], held.lines * CELL[1])
                    area = scaled[number][
                        row * CELL[1] : (row + 1) * CELL[1], column * CELL[0] : (column + 1) * CELL[0]
                    ]
                    seen[y * CELL[1] : (y + 1) * CELL[1], x * CELL[0] : (x + 1) * CELL[0]] = area
        return seen


def at_once(work: Callable[[], Any], then: Callable[[Any], None]) -> None:
    """No thread."""
    then(work())


def screen(graphics: Graphics, canvas: Canvas | None = None, colours: Any = "truecolor") -> Screen:
    """An empty one."""
    console = Console(force_terminal=True, color_system=colours)
    cells = ScreenCells(WIDTH, HEIGHT)
    found = Screen(make_gallery(graphics, at_once, HEIGHT), cells, canvas or Canvas(WIDTH, HEIGHT), console)
    found.type(0, 0, WIDTH, HEIGHT, ".")
    found.send()
    return found


@pytest.mark.parametrize(
    ("graphics", "canvas"),
    [
        (Graphics(KITTY, CELL), Canvas),
        (Graphics(SIXEL, CELL), Canvas),
        (Graphics(SIXEL, CELL, in_tmux=True), ForgetfulCanvas),
    ],
    ids=["kitty", "sixel", "sixel in tmux"],
)
def test_whatever_is_written_where_the_terminal_shows_what_is_wanted(graphics: Graphics, canvas: type[Canvas]) -> None:
    draw, shown = random.Random(4), screen(graphics, canvas(WIDTH, HEIGHT))
    first, second = few_colours(1), few_colours(2)
    pictures: dict[int, Pixmap] = {}
    for _ in range(40):
        x, y, width, height = draw.randrange(25), draw.randrange(11), draw.randrange(1, 14), draw.randrange(1, 6)
        if draw.random() < 0.4:
            # Kitty's terminal scales, so that a picture has one size at a time.
            size = (12, 4) if graphics.way == KITTY or draw.random() < 0.7 else (6, 2)
            picture = draw.choice([first, second])
            place = (draw.randrange(WIDTH - size[0]), draw.randrange(HEIGHT - size[1]))
            pictures[shown.show(picture, *place, *size)] = picture
        else:
            shown.type(x, y, min(width, WIDTH - x), min(height, HEIGHT - y), draw.choice(".x "))
        if draw.random() < 0.05:
            shown.cells.forget_shown()
            shown.gallery.forget()
        shown.send()
        assert np.abs(shown.canvas.picture - shown.wanted(pictures)).max() <= ALIKE
    assert (shown.canvas.picture >= 0).any()


@WAYS
def test_a_picture_is_sent_once_and_text_beside_it_sends_nothing_of_it(graphics: Graphics) -> None:
    shown, picture = screen(graphics), few_colours(1)
    shown.show(picture, 2, 2, 12, 4)
    sent = shown.send()
    assert len(sent) > 2000
    assert sent.count("\x1bP") == (graphics.way == SIXEL), "one rectangle, one sequence"
    shown.show(picture, 2, 2, 12, 4)
    assert shown.send() == ""
    shown.type(20, 2, 5, 4, "x")
    assert len(shown.send()) < 200
    shown.type(3, 3, 2, 1, "x")
    shown.send()
    shown.show(picture, 2, 2, 12, 4)
    assert 0 < len(shown.send()) < 500, "two cells come back for a fraction of the picture"


@WAYS
@pytest.mark.parametrize("colours", ["truecolor", "256", "standard", None])
def test_how_many_colours_text_may_have_does_not_matter(graphics: Graphics, colours: str | None) -> None:
    shown, picture = screen(graphics, colours=colours), few_colours(1)
    number = shown.show(picture, 2, 2, 12, 4)
    shown.send()
    assert np.abs(shown.canvas.picture - shown.wanted({number: picture})).max() <= ALIKE


@WAYS
def test_what_a_terminal_has_lost_is_sent_again(graphics: Graphics) -> None:
    shown, picture = screen(graphics), few_colours(1)
    number = shown.show(picture, 2, 2, 12, 4)
    shown.send()
    shown.cells.forget_shown()
    shown.gallery.forget()
    shown.canvas = Canvas(WIDTH, HEIGHT)
    shown.send()
    assert np.abs(shown.canvas.picture - shown.wanted({number: picture})).max() <= ALIKE


@WAYS
def test_what_is_written_while_a_picture_is_being_made_stands(graphics: Graphics) -> None:
    shown, picture = screen(graphics), few_colours(1)
    waiting: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []
    shown.gallery._ask = lambda work, then: waiting.append((work, then))
    number = shown.show(picture, 2, 2, 12, 4)
    shown.send()
    assert (shown.canvas.picture == -1).all()
    shown.type(0, 3, 9, 2, "x")
    shown.send()
    while waiting:
        at_once(*waiting.pop())
        shown.send()
    assert np.abs(shown.canvas.picture - shown.wanted({number: picture})).max() <= ALIKE
    assert shown.canvas.lines[3].startswith("xxxxxxxxx")


def test_keys_have_their_turn_while_a_picture_is_sent() -> None:
    shown = screen(Graphics(KITTY, CELL))
    noise = Pixmap(200, 200, random.Random(1).randbytes(3 * 200 * 200))
    shown.show(noise, 2, 2, 12, 6)
    changes = shown.cells.changes()
    for change in changes:
        shown.gallery.written(change, shown.console)
    parts = []
    while shown.gallery.is_due:
        parts.append(shown.gallery.due())
    assert len(parts) > 5
    assert max(map(len, parts)) < AT_ONCE + 5000


def test_kitty_is_told_another_size_and_not_sent_the_picture_again() -> None:
    shown, picture = screen(Graphics(KITTY, CELL)), few_colours(1)
    number = shown.show(picture, 2, 2, 12, 4)
    shown.send()
    assert shown.show(picture, 2, 2, 6, 2) == number
    shown.type(8, 2, 8, 4, ".")
    shown.type(2, 4, 8, 2, ".")
    assert len(shown.send()) < 400
    assert np.abs(shown.canvas.picture - shown.wanted({number: picture})).max() <= ALIKE


def test_kitty_keeps_few_pictures_and_none_in_the_end() -> None:
    shown = screen(Graphics(KITTY, CELL))
    for seed in range(7):
        shown.show(few_colours(seed), 2, 2, 12, 4)
        shown.send()
    assert (len(shown.canvas.images), len(shown.canvas.deleted)) == (4, 3)
    shown.canvas.write(shown.gallery.end().encode())
    assert (shown.canvas.images, len(shown.canvas.deleted)) == ({}, 7)
    assert shown.gallery.end() == ""


def test_kitty_is_not_left_waiting_for_the_rest_of_a_picture() -> None:
    shown = screen(Graphics(KITTY, CELL))
    noise = Pixmap(200, 200, random.Random(1).randbytes(3 * 200 * 200))
    shown.show(noise, 2, 2, 12, 6)
    for change in shown.cells.changes():
        shown.gallery.written(change, shown.console)
    shown.canvas.write(shown.gallery.due().encode())
    shown.gallery.release()
    number = shown.show(few_colours(1), 2, 2, 12, 4)
    shown.type(2, 6, 12, 2, ".")
    shown.cells.forget_shown()
    shown.send()
    assert list(shown.canvas.images) == [number << 24 | next(iter(shown.canvas.images)) & 0xFF]
    assert np.abs(shown.canvas.picture - shown.wanted({number: few_colours(1)})).max() <= ALIKE


def test_in_tmux_every_sequence_of_kittys_is_passed_on() -> None:
    shown, plain = screen(Graphics(KITTY, CELL, in_tmux=True)), screen(Graphics(KITTY, CELL))
    for one in (shown, plain):
        one.show(few_colours(1), 2, 2, 12, 4)
    shown.gallery._colour = plain.gallery._colour = 77  # type: ignore[attr-defined]
    passed, sent = shown.send(), plain.send()
    assert passed.count("\x1bPtmux;\x1b\x1b_G") == sent.count("\x1b_G") > 1
    assert passed.replace("\x1bPtmux;", "").replace("\x1b\x1b", "\x1b").replace("\x1b\\\x1b\\", "\x1b\\") == sent


def test_sixel_leaves_the_last_line_alone_where_a_terminal_would_scroll() -> None:
    shown, picture = screen(Graphics(SIXEL, CELL)), few_colours(1)
    shown.show(picture, 2, HEIGHT - 4, 12, 4)
    shown.send()
    assert (shown.canvas.picture >= 0).any()
    assert (shown.canvas.picture[-CELL[1] :] == -1).all()


def test_sixel_is_painted_anew_in_cells_of_another_size() -> None:
    shown, picture = screen(Graphics(SIXEL, CELL)), few_colours(1)
    shown.show(picture, 2, 2, 12, 4)
    shown.send()
    shown.gallery.resize(HEIGHT, (6, 12))
    shown.cells.forget_shown()
    shown.canvas = Canvas(WIDTH, HEIGHT, (6, 12))
    shown.send()
    assert np.abs(shown.canvas.pictured - means(picture, 72, 48)).mean() < 10
