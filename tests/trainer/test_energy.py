"""Sums of energy: counters that wrap and begin anew, against the energy that was really used."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.energy import MOST_WATTS, NOTHING, Counter, PowerSum, Used

RANGE = 262_143.0
STEPS = st.lists(st.tuples(st.floats(0.2, 3.0), st.floats(0.0, 700.0)), min_size=1, max_size=60)
"""Seconds between two readings, and the power meanwhile."""


@given(STEPS, st.floats(0.0, RANGE - 1), st.booleans())
def test_the_sum_is_the_energy_that_was_used_wherever_the_counter_begins_and_wraps(
    steps: list[tuple[float, float]], begin: float, wraps: bool
) -> None:
    counter = Counter(range_joules=RANGE if wraps else None)
    at, used = 100.0, 0.0
    counter.read(begin, at)
    for seconds, watts in steps:
        at, used = at + seconds, used + seconds * watts
        shown = begin + used
        counter.read(shown % RANGE if wraps else shown, at)
    assert counter.joules == pytest.approx(used, abs=1e-5)


@given(STEPS, st.sets(st.integers(1, 59)))
def test_a_counter_that_begins_anew_costs_the_interval_in_which_it_did_and_no_more(
    steps: list[tuple[float, float]], resets: set[int]
) -> None:
    """The driver was loaded again: the counter is at 0, and what it said before means nothing."""
    counter, at, shown, expected = Counter(), 0.0, 50_000.0, 0.0
    counter.read(shown, at)
    for number, (seconds, watts) in enumerate(steps, start=1):
        at += seconds
        if number in resets:
            shown = 0.0
        else:
            shown += seconds * watts
            expected += seconds * watts
        counter.read(shown, at)
    assert counter.joules == pytest.approx(expected, abs=1e-6)


def test_another_cards_counter_is_no_energy() -> None:
    counter = Counter()
    counter.read(1_000.0, 0.0)
    counter.read(1_300.0, 1.0)
    assert counter.read(9_000_000.0, 2.0) == 300.0
    assert counter.read(9_000_400.0, 3.0) == 700.0
    assert MOST_WATTS > 400.0, "the same step within a second is one that a card can make"


def test_a_counter_that_the_machines_sleep_has_reset_did_not_wrap() -> None:
    counter = Counter(range_joules=RANGE)
    counter.read(100_000.0, 0.0)
    assert counter.read(20.0, 1.0) == 0.0
    assert counter.read(70.0, 2.0) == 50.0


def test_where_a_counter_may_have_gone_round_more_than_once_nothing_is_guessed() -> None:
    counter = Counter(range_joules=RANGE)
    counter.read(0.0, 0.0)
    assert counter.read(10_000.0, 3600.0) == 0.0
    unbounded = Counter()
    unbounded.read(0.0, 0.0)
    assert unbounded.read(10_000.0, 3600.0) == 10_000.0, "one that does not wrap is right after any time"


def test_nothing_read_is_not_nothing_used() -> None:
    assert Counter().joules is None
    assert PowerSum().joules is None
    counter = Counter()
    assert counter.read(500.0, 0.0) == 0.0


@given(STEPS)
def test_power_is_summed_as_the_area_below_it(steps: list[tuple[float, float]]) -> None:
    power, at = PowerSum(), 0.0
    points = [(at, 100.0)]
    for seconds, watts in steps:
        at += seconds
        points.append((at, watts))
    for seconds, watts in points:
        power.read(watts, seconds)
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    assert power.joules == pytest.approx(area)


def test_power_between_readings_that_lie_far_apart_is_not_known() -> None:
    power = PowerSum()
    power.read(300.0, 0.0)
    power.read(300.0, 10.0)
    assert power.read(300.0, 5000.0) == 3000.0
    assert power.read(300.0, 5001.0) == 3300.0


def test_what_was_used_since_an_earlier_look() -> None:
    now = Used(card_joules=900.0, cpu_joules=50.0, is_estimated=True)
    assert now.since(NOTHING) == now
    assert now.since(Used(card_joules=600.0)) == Used(card_joules=300.0, cpu_joules=50.0, is_estimated=True)
    assert NOTHING.since(now) == NOTHING
