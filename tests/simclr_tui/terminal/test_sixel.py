"""Pictures as Sixel, read back by a decoder that takes one character after the other."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simclr_tui.terminal.pixmap import Pixmap, means
from simclr_tui.terminal.sixel import encoded, painted
from tests.simclr_tui.drawing_terminal import decode_sixel

HALF_A_PERCENT = 1.3
"""Levels that Sixel's registers, in percent, can't tell apart."""


def noise(width: int, height: int, colours: int = 1 << 24) -> Pixmap:
    """A picture of random pixels in so many colours at most."""
    random = np.random.default_rng(0)
    palette = random.integers(0, 256, (min(colours, 4096), 3), np.uint8)
    return Pixmap(width, height, palette[random.integers(0, len(palette), (height, width))].tobytes())


def read_back(sequence: str) -> NDArray[np.int16]:
    """Its pixels."""
    assert sequence.startswith("\x1bP0;1;0q")
    assert sequence.endswith("\x1b\\")
    return decode_sixel(sequence[len("\x1bP0;1;0q") : -2])


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 13), (16, 12)], ids=str)
def test_a_picture_of_few_colours_comes_back_as_it_was(size: tuple[int, int]) -> None:
    picture = noise(*size, colours=9)
    back = read_back(encoded(painted(picture, *size, 256)))
    assert back.shape == (size[1], size[0], 3)
    assert np.abs(back - means(picture, *size)).max() <= HALF_A_PERCENT


def test_equal_pixels_are_counted_and_what_is_unset_at_a_lines_end_is_left_out() -> None:
    red, blue = b"\xff\0\0", b"\0\0\xff"
    sequence = encoded(painted(Pixmap(100, 1, 99 * red + blue), 100, 1, 256))
    assert "!99@" in sequence
    assert "!99?@" in sequence
    assert len(sequence) < 80
    assert (read_back(sequence)[0, 98:] == [[255, 0, 0], [0, 0, 255]]).all()


@pytest.mark.parametrize("colours", [2, 16, 256])
def test_a_picture_of_many_colours_gets_as_many_as_there_are_registers_and_stays_alike(colours: int) -> None:
    y, x = np.mgrid[:60, :60]
    smooth = np.stack([4 * x, 4 * y, 2 * (x + y)], axis=2).astype(np.uint8)
    picture = painted(Pixmap(60, 60, smooth.tobytes()), 60, 60, colours)
    back = read_back(encoded(picture))
    assert len(picture.palette_NC) == colours
    assert len(np.unique(back.reshape(-1, 3), axis=0)) <= colours
    error = np.abs(back - smooth).mean()
    assert error < {2: 50, 16: 20, 256: 7}[colours]
    even = np.abs(smooth - np.full(3, 128)).mean()
    assert error < even, "gray would be no worse"


def test_a_part_is_what_the_whole_shows_there() -> None:
    whole = painted(noise(50, 40), 50, 40, 64)
    part = read_back(encoded(whole.crop(10, 5, 21, 17)))
    assert (part == read_back(encoded(whole))[5:22, 10:31]).all()


def test_another_size_is_the_mean_of_the_pixels_under_each() -> None:
    picture = noise(8, 6)
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(6, 8, 3)
    assert (means(picture, 16, 12) == pixels.repeat(2, 0).repeat(2, 1)).all()
    assert np.abs(means(picture, 4, 3) - pixels.reshape(3, 2, 4, 2, 3).mean((1, 3))).max() <= 0.5
