"""Parallel coordinates: every run meets every axis at its place, whatever the size."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from simclr_tui.plot.braille import CELL_HEIGHT
from simclr_tui.plot.coordinates import Axis, Coordinates, Course, draw, shown_axes
from simclr_tui.plot.draw import Row, text_of

AXES = (Axis("lr", [(1.0, "0.3"), (0.0, "0.1")]), Axis("opt", [(0.25, "lars"), (0.75, "sgd")]))
SCORE = Axis("kNN ↑", [(1.0, "80"), (0.0, "60")], is_result=True)


def course(sign: str, *places: float | None) -> Course:
    return Course(sign, f"run-{ord(sign) % 8}", places)


def signs_of(rows: list[Row], sign: str) -> list[tuple[int, int]]:
    """The cells (row, column) in which a sign stands."""
    return [(y, x) for y, row in enumerate(rows) for x, (letter, _) in enumerate(row) if letter == sign]


@given(
    st.lists(st.none() | st.floats(0, 1), min_size=2, max_size=5),
    st.integers(60, 200),
    st.integers(4, 40),
)
def test_a_run_has_its_sign_at_its_place_on_each_axis(places: list[float | None], width: int, height: int) -> None:
    axes = [Axis(f"axis {number}", [(0.0, "low"), (1.0, "high")]) for number in range(len(places))]
    data = Coordinates(axes, [course("A", *places)])
    rows = draw(data, width, height)
    assert len(rows) == height
    shown = [places[number] for number in shown_axes(data, width)]
    found = sorted(signs_of(rows, "A"), key=lambda cell: cell[1])
    assert len(found) == sum(place is not None for place in shown)
    dots = (height - 1) * CELL_HEIGHT - 1
    known = [place for place in shown if place is not None]
    for (row, _), place in zip(found, known, strict=True):
        assert row == (dots - round(place * dots)) // CELL_HEIGHT


def test_axes_stand_at_equal_distances_with_their_names_below_and_words_behind() -> None:
    data = Coordinates([*AXES, SCORE], [course("A", 0.0, 0.25, 1.0)])
    rows = text_of(draw(data, 80, 12))
    axes = [x for x, letter in enumerate(rows[3]) if letter == "│"]
    assert len(axes) == 3
    assert abs((axes[1] - axes[0]) - (axes[2] - axes[1])) <= 1
    assert rows[-1].split() == ["lr", "opt", "kNN", "↑"]
    assert "┤0.3" in rows[0]
    assert "A80" in rows[0]
    assert "A0.1" in rows[10]
    assert "Alars" in "".join(rows)


def test_between_two_axes_there_is_a_line_and_none_where_a_place_is_unknown() -> None:
    def inked(places: tuple[float | None, ...]) -> list[int]:
        rows = draw(Coordinates([*AXES, SCORE], [course("A", *places)]), 80, 12)
        return sorted({x for row in rows[:-1] for x, (_, ink) in enumerate(row) if ink == course("A").ink})

    whole, broken = inked((0.5, 0.5, 0.5)), inked((0.5, None, 0.5))
    assert len(whole) > 50
    assert all(b - a < 10 for a, b in itertools.pairwise(whole)), "without a gap but for words"
    assert len(broken) == 2, "the signs alone"


def test_the_last_course_lies_over_the_others() -> None:
    data = Coordinates(AXES, [course("A", 0.5, 0.5), course("B", 0.5, 0.5)])
    rows = draw(data, 60, 10)
    assert not signs_of(rows, "A")
    assert len(signs_of(rows, "B")) == 2


def test_where_room_is_short_results_stay_and_the_settings_with_the_fewest_values_go() -> None:
    steady = Axis("steady", [(0.5, "1")])
    data = Coordinates([steady, *AXES, SCORE], [course("A", 0.5, 0.0, 0.2, 0.0), course("B", 0.5, 1.0, 0.2, 1.0)])
    assert shown_axes(data, 200) == [0, 1, 2, 3]
    assert shown_axes(data, 50) == [0, 1, 3]
    assert shown_axes(data, 40) == [1, 3]
    assert shown_axes(data, 10) == [1, 3], "never fewer than two"


@pytest.mark.parametrize(("width", "height"), [(0, 0), (5, 2), (20, 3), (27, 10), (28, 3)])
def test_a_space_that_is_too_small_has_a_sentence(width: int, height: int) -> None:
    rows = draw(Coordinates(AXES, [course("A", 0.5, 0.5)]), width, height)
    assert len(rows) == height
    assert not signs_of(rows, "A")


def test_words_of_two_cells_a_letter_keep_the_rows_as_wide_as_they_are() -> None:
    axes = (Axis("学習率", [(1.0, "大きい値のとても長い名前"), (0.0, "小")]), SCORE)
    for width in range(30, 90):
        rows = text_of(draw(Coordinates(axes, [course("A", 1.0, 0.0)]), width, 8))
        assert {cell_len(row) for row in rows} == {width}
