"""Cells that stand for a part of a picture: text like any other, so that scrolling, covering and clipping stay right.

A cell is Kitty's placeholder character with its row, its column and the picture's number as combining characters
(sw.kovidgoyal.net/kitty/graphics-protocol, "Unicode placeholders"). A terminal with Kitty's graphics takes it as it is;
for one with Sixel it is what has to be painted there. Pure.
"""

from functools import lru_cache

PLACEHOLDER = "\U0010eeee"

_RANGES = """
305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 5ab-5ac
5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d 73f-741 743 745
747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17
1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe 20d0-20d1
20d4-20d7 20db-20dc 20e1 20e7 20e9 20f0 2cef-2cf1 2de0-2dff a66f a67c-a67d a6f0-a6f1 a8e0-a8f1 aab0 aab2-aab3
aab7-aab8 aabe-aabf aac1 fe20-fe26 10a0f 10a38 1d185-1d189 1d1aa-1d1ad 1d242-1d244
"""
"""Kitty's rowcolumn-diacritics.txt, hexadecimal: combining characters of class 230 in Unicode 6.0 that nothing is
composed of."""


def _numerals(ranges: str) -> tuple[str, ...]:
    found: list[str] = []
    for one in ranges.split():
        first, _, last = one.partition("-")
        found += map(chr, range(int(first, 16), int(last or first, 16) + 1))
    return tuple(found)


NUMERALS = _numerals(_RANGES)
"""Combining characters that stand for 0, 1, 2, …"""

MOST_CELLS = len(NUMERALS)
"""Columns or lines of a picture at most."""

_VALUES = {character: value for value, character in enumerate(NUMERALS)}


@lru_cache(256)
def line(number: int, columns: int, row: int) -> str:
    """A line of a picture's cells.

    Args:
        number: of the picture, below 256.
        columns: of the picture, at most `MOST_CELLS`.
        row: of the line, below `MOST_CELLS`.
    """
    before, after = PLACEHOLDER + NUMERALS[row], NUMERALS[number]
    return "".join(before + column + after for column in NUMERALS[:columns])


def part(cell: str) -> tuple[int, int, int] | None:
    """Number, column and row of the part of a picture that a cell stands for; None where it is text."""
    if len(cell) != 4 or cell[0] != PLACEHOLDER:
        return None
    row, column, number = (_VALUES.get(character, -1) for character in cell[1:])
    return None if min(row, column, number) < 0 else (number, column, row)
