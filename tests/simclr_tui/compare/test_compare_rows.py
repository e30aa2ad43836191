"""Which value of a row is the best, and how it is set against that of the first run."""

import random

import pytest

from simclr_tui.compare.rows import Figure, Measure, line_of
from simclr_tui.compare.table import Better, Delta, Line
from simclr_tui.format import UNKNOWN, duration
from tests.simclr_tui.compare_runs import words

ACCURACY = Measure("kNN", "%", Better.HIGHER, Delta.POINTS, lambda value: f"{value:.1f}")
SECONDS = Measure("t_epoch", "s", Better.LOWER, Delta.PERCENT)
LOSS = Measure("loss", better=Better.LOWER, delta=Delta.PLAIN)


def row(measure: Measure, *values: float | None, is_comparable: bool = True) -> Line:
    return line_of(measure, [Figure(value) for value in values], is_comparable=is_comparable)


def best(line: Line) -> list[int]:
    return [place for place, cell in enumerate(line.cells) if cell.is_best]


def test_the_best_is_the_highest_accuracy_and_the_lowest_time_or_loss() -> None:
    assert best(row(ACCURACY, 70.0, 78.9, 71.0)) == [1]
    assert best(row(SECONDS, 4.0, 3.0, 5.0)) == [1]
    assert best(row(LOSS, 0.5, 0.6, None)) == [0]


def test_what_reads_alike_is_marked_alike() -> None:
    line = row(ACCURACY, 78.91, 78.88, 71.0)
    assert best(line) == [0, 1]
    assert words(line) == ["78.9 ★", "78.9 ★ ±0", "71.0 −7.9"]


def test_times_that_differ_by_less_than_is_shown_are_marked_alike() -> None:
    line = row(SECONDS, 3.585, 3.592, 3.7)
    assert best(line) == [0, 1]
    assert words(line) == ["3.58 ★", "3.59 ★ ±0 %", "3.70 +3 %"]


@pytest.mark.parametrize("values", [(5.0, 5.0), (5.0, None), (None, None), (5.0, 5.001)])
def test_no_value_is_marked_where_all_are_equal_or_one_alone_is_known(values: tuple[float | None, ...]) -> None:
    for measure in (ACCURACY, SECONDS, LOSS):
        assert not best(row(measure, *values))


def test_nothing_is_marked_or_set_against_where_a_difference_means_nothing() -> None:
    assert words(row(LOSS, 0.5, 0.6, is_comparable=False)) == ["0.500", "0.600"]
    assert not best(row(Measure("epochs"), 3, 5))


def test_accuracies_differ_in_points_and_times_in_percent() -> None:
    assert words(row(ACCURACY, 50.0, 62.04)) == ["50.0", "62.0 ★ +12.0"]
    assert words(row(SECONDS, 4.0, 3.0, 5.0)) == ["4.00", "3.00 ★ −25 %", "5.00 +25 %"]
    assert words(row(LOSS, 0.51, 0.48)) == ["0.510", "0.480 ★ −0.030"]
    assert words(row(SECONDS, 1.0, 23.0)) == ["1.00 ★", "23.0 × 23"]


def test_there_is_no_delta_where_either_side_is_unknown() -> None:
    assert words(row(ACCURACY, None, 62.0, 50.0)) == [UNKNOWN, "62.0 ★", "50.0"]
    assert words(row(ACCURACY, 62.0, None)) == ["62.0", UNKNOWN]
    assert words(row(SECONDS, 0.0, 2.0)) == ["0 ★", "2.00"], "nothing is so many per cent of nothing"


def test_an_epoch_is_told_with_the_value_it_belongs_to() -> None:
    line = line_of(ACCURACY, [Figure(70.0, 12), Figure(None, 3)])
    assert words(line) == ["70.0 (ep 12)", UNKNOWN]


def test_marks_and_deltas_are_those_of_a_slow_reference() -> None:
    rng = random.Random(5)
    for _ in range(300):
        values = [rng.choice([None, round(rng.uniform(1, 99), 1)]) for _ in range(rng.randint(2, 12))]
        line = row(ACCURACY, *values)
        known = [value for value in values if value is not None]
        wanted = [value == max(known) and min(known) < max(known) for value in values if value is not None]
        assert [cell.is_best for cell in line.cells if cell.value is not None] == wanted
        for cell, value in list(zip(line.cells, values, strict=True))[1:]:
            if value is not None and values[0] is not None:
                assert cell.difference == pytest.approx(value - values[0])
                sign = {True: "+", False: "−"}[value > values[0]]
                assert cell.delta == ("±0" if value == values[0] else f"{sign}{abs(value - values[0]):.1f}")


def test_a_length_of_time_is_marked_by_its_seconds_and_not_by_its_words() -> None:
    line = row(Measure("time", better=Better.LOWER, delta=Delta.PERCENT, show=duration), 7200.0, 600.0)
    assert words(line) == ["2 h", "10 min ★ −92 %"]
