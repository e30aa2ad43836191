"""Kitty's sequences, and the cells that stand for parts of a picture."""

import base64
import io
import re
import unicodedata

import numpy as np
import pytest
from PIL import Image
from rich.segment import Segment
from textual.strip import Strip

from simclr_tui.terminal import kitty
from simclr_tui.terminal.pixmap import Pixmap
from simclr_tui.terminal.placeholders import MOST_CELLS, NUMERALS, PLACEHOLDER, line, part
from simclr_tui.terminal.screen_cells import cells_of

PIXELS = np.random.default_rng(0).integers(0, 256, (37, 61, 3), np.uint8)
PICTURE = Pixmap(61, 37, PIXELS.tobytes())


@pytest.mark.parametrize("size", [(61, 37), (1, 1), (1, 20), (20, 1)], ids=str)
def test_a_png_holds_every_pixel(size: tuple[int, int]) -> None:
    width, height = size
    cut = np.ascontiguousarray(PIXELS[:height, :width])
    with Image.open(io.BytesIO(kitty.png(Pixmap(width, height, cut.tobytes())))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)
        assert (np.asarray(image) == cut).all()


def test_a_picture_goes_in_parts_that_the_protocol_allows_and_is_whole_behind_the_last() -> None:
    sequences = list(kitty.transmission(0x1200002A, PICTURE))
    found = [re.fullmatch(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", sequence) for sequence in sequences]
    keys = [one[1] for one in found if one]
    payloads = [one[2] for one in found if one]
    assert len(keys) == len(sequences) > 2
    assert keys[0] == f"a=t,f=100,t=d,i={0x1200002A},q=2,m=1"
    assert set(keys[1:-1]) == {"q=2,m=1"}
    assert keys[-1] == "q=2,m=0"
    assert {len(payload) for payload in payloads[:-1]} == {4096}
    assert base64.b64decode("".join(payloads)) == kitty.png(PICTURE)
    assert [kitty.is_followed(one) for one in sequences] == [True] * (len(sequences) - 1) + [False]


def test_the_numerals_are_those_of_the_protocol() -> None:
    # rowcolumn-diacritics.txt of Kitty's documentation
    assert MOST_CELLS == 297
    assert [ord(NUMERALS[place]) for place in (0, 1, 2, 3, 4, -2, -1)] == [
        *(0x305, 0x30D, 0x30E, 0x310, 0x312),
        *(0x1D243, 0x1D244),
    ]
    assert list(NUMERALS) == sorted(set(NUMERALS))
    assert {unicodedata.combining(one) for one in NUMERALS} == {230}
    assert not any(unicodedata.decomposition(one) for one in NUMERALS)


def test_a_line_of_cells_is_as_wide_as_it_has_cells_however_it_is_cut() -> None:
    strip = Strip([Segment(line(7, MOST_CELLS, 296))])
    assert strip.cell_length == MOST_CELLS
    cells = [text for text, _ in cells_of(strip.crop(100, 150))]
    assert [part(cell) for cell in cells] == [(7, column, 296) for column in range(100, 150)]


@pytest.mark.parametrize("cell", ["", " ", "x", PLACEHOLDER, f"{PLACEHOLDER}abc", f"x{NUMERALS[0] * 3}"])
def test_text_is_no_part_of_a_picture(cell: str) -> None:
    assert part(cell) is None
