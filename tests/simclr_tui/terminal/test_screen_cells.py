"""The cells of a screen: what is sent is what differs, and the terminal ends with what is wanted."""

import random

from rich.segment import Segment
from rich.style import Style

from simclr_tui.terminal.screen_cells import Cell, Change, ScreenCells, cells_of

BOLD = Style(bold=True)


def test_only_what_differs_is_written() -> None:
    cells = ScreenCells(20, 2)
    cells.want(0, 0, [Segment("12:00:00 and so on  ")])
    assert [change.segments[0].text for change in cells.changes()] == ["12:00:00 and so on  "]
    cells.want(0, 0, [Segment("12:00:01 and so on  ")])
    assert cells.changes() == [Change(7, 0, (Segment("1"),))]
    cells.want(0, 0, [Segment("12:00:01 and so on  ")])
    assert cells.changes() == []


def test_another_style_is_a_difference_and_an_equal_one_is_none() -> None:
    cells = ScreenCells(5, 1)
    cells.want(0, 0, [Segment("shown", Style(bold=True))])
    cells.changes()
    cells.want(0, 0, [Segment("sho", Style(bold=True)), Segment("wn", Style(italic=True))])
    assert cells.changes() == [Change(3, 0, (Segment("wn", Style(italic=True)),))]


def test_a_wide_character_is_never_cut() -> None:
    cells = ScreenCells(6, 1)
    cells.want(0, 0, [Segment("漢漢ab")])
    cells.changes()
    cells.want(0, 0, [Segment("漢", None), Segment("漢", BOLD), Segment("ab")])
    (change,) = cells.changes()
    assert (change.x, change.segments) == (2, (Segment("漢", BOLD),))
    cells.want(0, 0, [Segment("xx漢ab")])
    (change,) = cells.changes()
    assert change.segments[0].text.startswith("xx漢")


def test_marks_that_belong_to_a_character_stay_with_it() -> None:
    assert cells_of([Segment("e\u0301x")]) == [("e\u0301", None), ("x", None)]
    assert cells_of([Segment("漢\ufe0fx")]) == [("漢\ufe0f", None), ("", None), ("x", None)]


def test_pictures_that_were_left_out_are_made_up_for_by_the_next_one() -> None:
    cells = ScreenCells(10, 1)
    cells.want(0, 0, [Segment("aaaaaaaaaa")])
    cells.changes()
    cells.want(0, 0, [Segment("bbbbbbbbbb")])
    cells.want(0, 0, [Segment("aaaaaaaaac")])
    assert cells.changes() == [Change(9, 0, (Segment("c"),))]


def test_what_is_outside_is_left_out() -> None:
    cells = ScreenCells(4, 1)
    cells.want(2, 0, [Segment("abcdef")])
    cells.want(0, 1, [Segment("x")])
    cells.want(9, 0, [Segment("x")])
    assert cells.changes() == [Change(2, 0, (Segment("ab"),))]


def test_after_a_resize_everything_is_written_again() -> None:
    cells = ScreenCells(4, 2)
    for y in range(2):
        cells.want(0, y, [Segment("abcd")])
    cells.changes()
    cells.forget_shown()
    assert [(change.x, change.y, change.segments[0].text) for change in cells.changes()] == [
        (0, 0, "abcd"),
        (0, 1, "abcd"),
    ]


def paint(line: list[Cell], x: int, segments: list[Segment]) -> int:
    """What a terminal does with text, character by character; half of a wide character is none."""
    cells = 0
    for text, style in ((one.text, one.style) for one in segments):
        for character in text:
            width = 2 if character == "漢" else 1
            if x + width > len(line):
                character, width = " ", min(width, len(line) - x)
                style = None
            if not width:
                return cells
            for at in range(x, x + width):
                if not line[at][0]:
                    line[at - 1] = (" ", None)
                if at + 1 < len(line) and not line[at + 1][0]:
                    line[at + 1] = (" ", None)
                line[at] = (" ", None)
            line[x : x + width] = [(character, style), ("", style)][:width]
            x, cells = x + width, cells + width
    return cells


def test_whatever_is_painted_the_terminal_ends_with_it_and_is_sent_less() -> None:
    rng = random.Random(7)
    alphabet, styles = "ab 漢é│", [None, BOLD, Style(color="red"), Style(bold=True)]
    for width in (2, 7, 40):
        cells = ScreenCells(width, 3)
        blank: list[list[Cell]] = [[(" ", None)] * width for _ in range(3)]
        for y in range(3):
            cells.want(0, y, [Segment(" " * width)])
        shown, wanted = [line.copy() for line in blank], [line.copy() for line in blank]
        sent = painted = 0
        for _ in range(400):
            y, x = rng.randrange(3), rng.randrange(width)
            segments = [Segment(rng.choice(alphabet) * rng.randrange(1, 5), rng.choice(styles)) for _ in range(3)]
            cells.want(x, y, segments)
            painted += paint(wanted[y], x, segments)
            if rng.random() < 0.5:
                sent += sum(paint(shown[one.y], one.x, list(one.segments)) for one in cells.changes())
                assert shown == wanted
        assert sent < painted
