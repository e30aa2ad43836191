"""Figures and times as text."""

import time

import pytest
from rich.cells import cell_len

from simclr_tui.format import (
    HEALTH_SIGNS,
    SIGNS,
    bar,
    clock,
    count,
    duration,
    energy,
    fit,
    moment,
    number,
    percent,
    size,
    sparkline,
    tick,
)
from trainer.judge import LEVELS
from trainer.state import STATES


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (6.2364, "6.24"),
        (0.05123, "0.0512"),
        (1234.5, "1,234"),
        (901.2, "901"),
        (-1.5, "-1.50"),
        (1e-9, "1.00e-09"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_has_about_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.4, "0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (18_180, "5 h 3 min"),
        (187_200, "2 d 4 h"),
        (86_400, "1 d"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (250, "250"),
        (12_500, "12.5k"),
        (2_500_000, "2.5M"),
        (2.5, "2.5"),
        (1e29, "1e+29"),
        (-2e9, "-2e+09"),
    ],
)
def test_ticks_are_short(value: float, text: str) -> None:
    assert tick(value) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(None, "–"), (512, "512 B"), (1536, "1.5 KiB"), (900 * 2**20, "900 MiB"), (61 * 2**30, "61 GiB")],
)
def test_sizes_are_binary(bytes_: int | None, text: str) -> None:
    assert size(bytes_) == text


@pytest.mark.parametrize(
    ("joules", "text"),
    [(None, "–"), (0.0, "0 J"), (12.04, "12.0 J"), (720.0, "0.200 Wh"), (3.24e6, "900 Wh"), (7.56e6, "2.10 kWh")],
)
def test_energy_is_in_the_unit_that_electricity_is_counted_in(joules: float | None, text: str) -> None:
    assert energy(joules) == text


def test_percent_and_count_say_nothing_where_nothing_is_known() -> None:
    assert (percent(None), count(None)) == ("–", "–")
    assert (percent(0.7613), percent(1.0), count(82_680)) == ("76.1", "100.0", "82,680")


def test_a_bar_is_as_wide_as_asked_and_grows_by_eighths() -> None:
    assert [bar(part, 2) for part in (0, 1 / 16, 0.5, 1, 2)] == ["  ", "▏ ", "█ ", "██", "██"]
    assert all(len(bar(n / 100, 7)) == 7 for n in range(101))


def test_text_is_cut_with_an_ellipsis() -> None:
    assert (fit("ab", 4), fit("abcdef", 4), fit("abcd", 4)) == ("ab  ", "abc…", "abcd")


def test_a_moment_has_a_date_only_on_another_day() -> None:
    now = time.mktime((2026, 8, 23, 18, 42, 7, 0, 0, -1))
    assert (clock(now), clock(now, seconds=True), moment(now, now)) == ("18:42", "18:42:07", "18:42")
    assert moment(now - 3 * 86_400, now) == "20 Aug 18:42"


def test_every_state_has_a_sign() -> None:
    assert set(SIGNS) == set(STATES)
    assert all(len(sign) == 1 for sign in SIGNS.values())


def test_every_level_of_health_has_a_sign_of_its_own() -> None:
    assert set(HEALTH_SIGNS) == set(LEVELS)
    assert len(set(HEALTH_SIGNS.values())) == len(LEVELS)


def test_a_sparkline_goes_from_the_lowest_to_the_highest_in_so_many_cells() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(range(80), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5, 5], 8) == "▁▁▁"
    assert sparkline([1, float("nan"), 3, float("inf")], 8) == "▁█"
    assert sparkline([], 8) == sparkline([1, 2], 0) == ""


def test_wide_characters_take_their_two_cells() -> None:
    assert [cell_len(fit(text, 8)) for text in ("名前", "名前の長いもの", "a名前の長い", "plain")] == [8] * 4
    assert fit("名前の長いもの", 8).endswith("…")
