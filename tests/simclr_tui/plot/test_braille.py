"""Dots in braille cells, against a slow drawing of the same dots."""

import random

from simclr_tui.plot.braille import Canvas

# Unicode's numbering of the eight dots, from the standard's table: number -> (column, row).
DOTS = {1: (0, 0), 2: (0, 1), 3: (0, 2), 4: (1, 0), 5: (1, 1), 6: (1, 2), 7: (0, 3), 8: (1, 3)}


def dots_of(canvas: Canvas) -> set[tuple[int, int]]:
    """The dots that are set, read back from the characters."""
    found = set()
    for row in range(canvas.rows):
        for column, (character, _) in enumerate(canvas.cells(row)):
            bits = 0 if character == " " else ord(character) - 0x2800
            for number, (x, y) in DOTS.items():
                if bits & (1 << (number - 1)):
                    found.add((column * 2 + x, row * 4 + y))
    return found


def test_every_dot_lands_where_it_was_put() -> None:
    rng = random.Random(1)
    wanted = {(rng.randrange(20), rng.randrange(12)) for _ in range(60)}
    canvas = Canvas(10, 3)
    for x, y in wanted:
        canvas.dot(x, y, "ink")
    assert dots_of(canvas) == wanted


def test_dots_outside_of_the_canvas_are_left_out() -> None:
    canvas = Canvas(2, 1)
    for x, y in ((-1, 0), (0, -1), (4, 0), (0, 4)):
        canvas.dot(x, y, "ink")
    assert dots_of(canvas) == set()


def test_a_line_is_connected_and_never_further_than_half_a_dot_from_the_true_one() -> None:
    rng = random.Random(2)
    for _ in range(50):
        x0, x1 = rng.randrange(40), rng.randrange(40)
        y0, y1 = rng.randrange(40), rng.randrange(40)
        canvas = Canvas(20, 10)
        canvas.line(x0, y0, x1, y1, "ink")
        dots = dots_of(canvas)
        assert {(x0, y0), (x1, y1)} <= dots
        assert len(dots) == max(abs(x1 - x0), abs(y1 - y0)) + 1
        for x, y in dots:
            length = max(abs(x1 - x0), abs(y1 - y0)) or 1
            nearest = min(
                max(abs(x0 + (x1 - x0) * t / length - x), abs(y0 + (y1 - y0) * t / length - y))
                for t in range(length + 1)
            )
            assert nearest <= 0.5


def test_a_column_holds_every_dot_between_its_ends() -> None:
    canvas = Canvas(2, 3)
    canvas.column(3, -5, 6, "ink")
    assert dots_of(canvas) == {(3, y) for y in range(7)}


def test_a_cell_belongs_to_the_ink_that_came_last() -> None:
    canvas = Canvas(1, 1)
    canvas.dot(0, 0, "band")
    canvas.dot(1, 3, "line")
    assert dots_of(canvas) == {(1, 3)}
    assert list(canvas.cells(0)) == [("⢀", "line")]
