"""Scales, ticks, smoothing and reduction, against slow obvious references."""

import itertools
import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from simclr_tui.plot.series import (
    Sample,
    Scale,
    Series,
    log_ticks,
    nice_step,
    recalled,
    reduce,
    smooth,
    ticks,
    time_tick,
    time_ticks,
    upper_bound,
    within,
)

finite = st.floats(-1e6, 1e6)


def test_a_scale_puts_its_ends_on_the_first_and_the_last_dot() -> None:
    assert [Scale(2, 4, 11).position(v) for v in (2, 3, 4)] == [0, 5, 10]
    assert [Scale(0.01, 100, 5, log=True).position(v) for v in (0.01, 0.1, 1, 10, 100)] == [0, 1, 2, 3, 4]
    assert Scale(2, 4, 11).clamped(99) == 10
    assert Scale(0.01, 100, 5, log=True).clamped(0) == 0
    assert Scale(3, 3, 11).position(3) == 5


@given(finite, finite, st.integers(1, 12))
def test_ticks_are_round_evenly_spaced_within_the_range_and_not_too_many(a: float, b: float, count: int) -> None:
    low, high = sorted((a, b))
    if high - low < 1e-3:
        return
    found = ticks(low, high, count)
    assert len(found) <= count + 1
    step = nice_step(high - low, count)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert any(mantissa == pytest.approx(nice) for nice in (1, 2, 2.5, 5))
    for value in found:
        assert low - 1e-6 * step <= value <= high + 1e-6 * step
        assert value / step == pytest.approx(round(value / step), abs=1e-6)
    assert all(b - a == pytest.approx(step) for a, b in itertools.pairwise(found))


def test_whole_ticks_are_whole() -> None:
    assert ticks(0, 3, 6, whole=True) == [0, 1, 2, 3]
    assert ticks(0, 15, 6, whole=True) == [0, 5, 10, 15]
    assert ticks(0, 0, 4) == [0]


def test_logarithmic_ticks_are_powers_of_ten_with_company_where_there_is_room() -> None:
    assert log_ticks(0.5, 200, 10) == [0.5, 1, 2, 5, 10, 20, 50, 100, 200]
    assert log_ticks(0.5, 200, 3) == [1, 10, 100]
    assert log_ticks(4.0, 5.0, 6) == [4, 4.2, 4.4, 4.6, 4.8, 5], "less than a decade has those of a linear axis"
    assert log_ticks(5.5, 9.0, 2) == ticks(5.5, 9.0, 2)


def test_smoothing_equals_the_weighted_mean_written_out() -> None:
    rng = random.Random(3)
    xs = sorted(rng.uniform(0, 50) for _ in range(40))
    samples = [Sample.at(x, rng.gauss(0, 1)) for x in xs]
    span = 4.0
    for n, smoothed in enumerate(smooth(samples, span)):
        weights = [math.exp(-(xs[n] - x) / span) for x in xs[: n + 1]]
        expected = sum(w * s.value for w, s in zip(weights, samples, strict=False)) / sum(weights)
        assert smoothed.x == xs[n]
        assert smoothed.value == pytest.approx(expected)


def test_smoothing_keeps_a_constant_and_needs_no_samples() -> None:
    assert [s.value for s in smooth([Sample.at(x, 2.5) for x in range(9)], 3)] == pytest.approx([2.5] * 9)
    assert smooth([], 3) == []
    assert [s.value for s in smooth([Sample.at(0, 1.0), Sample.at(1, 2.0)], 0)] == [1.0, 2.0]


def test_reduction_loses_no_spike() -> None:
    rng = random.Random(4)
    samples = [Sample.at(x, rng.random()) for x in range(1000)]
    samples[617] = Sample.at(617, 99.0)
    scale = Scale(0, 999, 50)
    reduced = reduce(samples, scale)
    assert sorted(reduced) == list(range(50))
    for column, sample in reduced.items():
        inside = [s.value for s in samples if scale.position(s.x) == column]
        assert (sample.low, sample.high) == (min(inside), max(inside))
        assert sample.value == pytest.approx(sum(inside) / len(inside))
    assert max(sample.high for sample in reduced.values()) == 99.0


@given(
    xs=st.lists(st.floats(0, 1000), min_size=1, max_size=60),
    ends=st.tuples(st.floats(0, 400), st.floats(0, 1200)),
    size=st.integers(1, 90),
    log=st.booleans(),
)
def test_reduction_puts_each_sample_where_the_scale_has_it(
    xs: list[float], ends: tuple[float, float], size: int, log: bool
) -> None:
    scale = Scale(*ends, size, log)
    samples = [Sample(x, n - 0.5, n + 0.25, float(n)) for n, x in enumerate(sorted(xs))]
    groups = {column: [s for s in samples if scale.clamped(s.x) == column] for column in map(scale.clamped, xs)}
    assert reduce(samples, scale) == {
        column: Sample(
            group[-1].x,
            min(s.low for s in group),
            max(s.high for s in group),
            pytest.approx(sum(s.value for s in group) / len(group)),  # type: ignore[arg-type]
        )
        for column, group in groups.items()
    }


def test_one_spike_does_not_set_the_upper_bound() -> None:
    assert upper_bound([Sample.at(0, 800.0)] + [Sample.at(x, 140.0) for x in range(1, 8)]) == 140.0
    assert upper_bound([Sample.at(x, float(x)) for x in range(101)]) == 95.0
    assert upper_bound([]) == 0.0


@given(st.floats(0, 1e5), st.floats(1.0, 1e7), st.integers(1, 12))
def test_ticks_of_time_are_whole_units_within_the_range_and_not_too_many(low: float, span: float, count: int) -> None:
    found = time_ticks(low, low + span, count)
    assert len(found) <= count + 2
    if span / count < 1:
        return
    steps = {round(b - a, 6) for a, b in itertools.pairwise(found)}
    assert len(steps) <= 1
    for step in steps:
        assert any(step % unit == 0 and step / unit <= 30 for unit in (1, 60, 3600)) or step % 86_400 == 0
        assert any(86_400 % step == 0 for _ in [0]) or step % 86_400 == 0, "days begin at a tick"
    assert all(low - 1e-3 <= value <= low + span + 1e-3 for value in found)


@given(
    xs=st.lists(st.floats(0, 100), min_size=1, max_size=30, unique=True),
    ends=st.tuples(st.floats(-10, 110), st.floats(0.01, 60)),
)
@example(xs=[1.0, 2.0], ends=(0.0, 1.0))  # a sample on an edge is there once
@example(xs=[1.0, 2.0], ends=(2.0, 1.0))
def test_within_a_window_are_its_samples_and_the_edges_of_straight_lines(
    xs: list[float], ends: tuple[float, float]
) -> None:
    low, high = ends[0], ends[0] + ends[1]
    samples = [Sample(x, x - 1, x + 1, 2 * x) for x in sorted(xs)]
    found = within(samples, Scale(low, high, 50))
    assert [s for s in found if s in samples] == [s for s in samples if low <= s.x <= high]
    for sample in found:
        assert low <= sample.x <= high
        assert sample.value == pytest.approx(2 * sample.x, abs=1e-6), "on the line between its neighbours"
        assert (sample.low, sample.high) == pytest.approx((sample.x - 1, sample.x + 1), abs=1e-6)
    crosses = samples[0].x < low < samples[-1].x
    assert not crosses or found[0].x == low or found[0] in samples


def test_a_series_answers_a_question_once_until_many_others_were_asked() -> None:
    series, asked = Series([Sample.at(0, 1.0)]), []

    def answer() -> int:
        asked.append(1)
        return len(asked)

    assert [series.recall(("a", n), answer) for n in (1, 1, 2, 1, 2)] == [1, 1, 2, 1, 2]
    for n in range(3, 30):
        series.recall(("a", n), answer)
    assert series.recall(("a", 1), answer) == 30, "it was let go"
    assert recalled([Sample.at(0, 1.0)], ("a", 1), answer) == 31, "a plain list keeps nothing"
    assert series == Series([Sample.at(0, 1.0)])


@pytest.mark.parametrize(
    ("value", "step", "words"),
    [
        (0.25, 0.25, "0.25 s"),
        (90, 30, "1 min 30 s"),
        (3690, 30, "1:01:30"),
        (3600, 30, "1:00:00"),
        (5400, 1800, "1 h 30 min"),
        (86_400 + 4 * 3600, 3600, "1 d 4 h"),
        (86_400 + 4.5 * 3600, 1800, "1 d 4:30"),
        (2 * 86_400, 86_400, "2 d"),
    ],
)
def test_labels_of_time_are_told_apart_however_close_they_are(value: float, step: float, words: str) -> None:
    assert time_tick(value, step) == words
