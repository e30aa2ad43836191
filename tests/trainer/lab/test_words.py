"""Tests of ratios in words."""

import pytest

from trainer.lab.statistics import Interval
from trainer.lab.words import between, compared, gain, listed, shortened


def of(low: float, high: float) -> Interval:
    """An interval between two ends."""
    return Interval(low, high, (low + high) / 2, 0.98, 10)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.97, 1.04, "no difference found (0.97–1.04)"),
        (1.31, 1.35, "slower by 31–35 %"),
        (1.012, 1.034, "slower by 1.2–3.4 %"),
        (2.3, 2.61, "2.3–2.6 × as slow"),
        (1.08, 5.6, "1.08–5.60 × as slow"),
        (1 / 5.6, 1 / 1.08, "1.08–5.60 × as fast"),
        (1 / 2.4, 1 / 2.1, "2.1–2.4 × as fast"),
        (1 / 1.31, 1 / 1.25, "1.25–1.31 × as fast"),
        (1 / 1.05, 1 / 1.03, "faster by 3.0–5.0 %"),
        (1 / 3.004, 1 / 3.001, "3.00 × as fast"),
        (1.0002, 1.0004, "slower by 0.02–0.04 %"),
    ],
)
def test_ratios_of_times_are_said_as_people_say_them(low: float, high: float, words: str) -> None:
    assert compared(of(low, high)) == words


def test_a_gain_is_said_in_times() -> None:
    assert gain(of(2.1, 2.44)) == "2.1–2.4 ×"
    assert gain(of(1.02, 1.04)) == "1.02–1.04 ×"


def test_a_range_has_a_digit_more_where_its_ends_would_read_the_same() -> None:
    assert between(2.11, 2.14, 1) == "2.11–2.14"
    assert between(2.111, 2.112, 1) == "2.11"


def test_lists_read_as_english() -> None:
    assert [listed(words) for words in ([], ["2"], ["2", "3"], ["2", "3", "6"])] == ["", "2", "2 and 3", "2, 3 and 6"]
    assert shortened(["a", "b", "c"], most=2) == "a; b; and 1 more"
