"""Tests of the intervals of ratios."""

import random
import statistics

import pytest
from scipy.stats import binom

from trainer.lab.statistics import (
    Spread,
    comparisons,
    coverage,
    no_difference,
    ratio_interval,
    rounds_needed,
    spread,
)

TRUE_RATIO = 1.03


def one_benchmark(noise: random.Random, rounds: int) -> tuple[dict[int, float], dict[int, float]]:
    """Times of two trials, the first 3 % slower, on a machine that drifts by half its speed and is often held up."""
    slower, quicker = {}, {}
    for round_ in range(rounds):
        drift = 1 + 0.5 * round_ / rounds
        held_up = [1 + 0.01 * noise.paretovariate(1.1) for _ in range(2)]  # no mean to speak of, no symmetry
        slower[round_], quicker[round_] = TRUE_RATIO * drift * held_up[0], drift * held_up[1]
    return slower, quicker


@pytest.mark.parametrize("count", [6, 10, 13, 40])
def test_coverage_is_that_of_the_binomial_distribution(count: int) -> None:
    for place in range(1, count // 2 + 1):
        assert coverage(count, place) == pytest.approx(1 - 2 * binom.cdf(place - 1, count, 0.5), abs=1e-12)


@pytest.mark.parametrize("pairs", [1, 5, 25, 26, 136])
def test_the_rounds_needed_are_the_first_that_reach_the_level(pairs: int) -> None:
    rounds = rounds_needed(pairs)
    assert 2 * binom.cdf(0, rounds, 0.5) <= 0.05 / pairs < 2 * binom.cdf(0, rounds - 1, 0.5)


def test_the_rounds_needed_are_those_that_the_page_names() -> None:
    assert [rounds_needed(count) for count in (1, 25, 26, 136)] == [6, 10, 11, 13]


def test_every_pair_of_trials_is_a_comparison() -> None:
    assert [comparisons(trials) for trials in (1, 2, 3, 17)] == [1, 1, 3, 136]


@pytest.mark.parametrize(("rounds", "pairs"), [(10, 1), (13, 1), (10, 21)])
def test_intervals_hold_the_truth_as_often_as_they_say_under_drift_and_heavy_tails(rounds: int, pairs: int) -> None:
    noise = random.Random(20)
    repeats, held, level = 1000, 0, 0.0
    for _ in range(repeats):
        interval = ratio_interval(*one_benchmark(noise, rounds), pairs)
        assert interval is not None
        level = interval.coverage
        assert level >= 1 - 0.05 / pairs
        held += interval.low <= TRUE_RATIO <= interval.high
    least = binom.ppf(1e-4, repeats, level)  # what chance leaves of so many where the level is kept
    assert held >= least


def test_a_bootstrap_of_the_mean_does_not_keep_its_level_there() -> None:
    noise = random.Random(20)
    repeats, held = 300, 0
    for _ in range(repeats):
        slower, quicker = one_benchmark(noise, 10)
        paired = [slower[key] / quicker[key] for key in slower]
        means = sorted(statistics.fmean(noise.choices(paired, k=10)) for _ in range(200))
        held += means[4] <= TRUE_RATIO <= means[-5]
    assert held < binom.ppf(1e-4, repeats, 0.95)


def test_three_percent_are_found_by_pairs_of_a_round_and_lost_in_the_drift_without() -> None:
    noise = random.Random(3)
    slower, quicker = one_benchmark(noise, 13)
    paired = ratio_interval(slower, quicker)
    assert paired is not None
    assert paired.low > 1
    keys = list(quicker)
    noise.shuffle(keys)
    shuffled = dict(zip(quicker, (quicker[key] for key in keys), strict=True))
    unpaired = ratio_interval(slower, shuffled)
    assert unpaired is not None
    assert unpaired.includes_one


def test_an_interval_lies_between_order_statistics_of_the_ratios() -> None:
    values = {round_: float(round_) for round_ in range(1, 11)}
    interval = ratio_interval(values, dict.fromkeys(values, 2.0))
    assert interval is not None
    assert (interval.low, interval.high, interval.median, interval.count) == (1.0, 4.5, 2.75, 10)


def test_more_comparisons_never_make_an_interval_narrower() -> None:
    slower, quicker = one_benchmark(random.Random(5), 20)
    widths = []
    for pairs in (1, 10, 100, 1000):
        interval = ratio_interval(slower, quicker, pairs)
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_too_few_rounds_give_no_interval() -> None:
    slower, quicker = one_benchmark(random.Random(5), 9)
    assert ratio_interval(slower, quicker, 25) is None
    slower, quicker = one_benchmark(random.Random(5), 10)
    assert ratio_interval(slower, quicker, 25) is not None


def test_rounds_that_one_trial_lacks_are_left_out() -> None:
    values = {round_: 100.0 if round_ == 5 else 2.0 for round_ in range(10)}
    reference = {round_: 1.0 if round_ not in (0, 3) else 100.0 for round_ in range(10)}
    del values[0], values[3], reference[5]
    interval = ratio_interval(values, reference)
    assert interval is not None
    assert (interval.low, interval.high, interval.count) == (2, 2, 7)


def test_times_that_are_all_the_same_are_no_difference() -> None:
    same = ratio_interval(dict.fromkeys(range(10), 2.0), dict.fromkeys(range(10), 2.0))
    assert same is not None
    assert same.includes_one


def test_the_other_way_round_the_ends_change_places() -> None:
    slower, quicker = one_benchmark(random.Random(7), 10)
    there, back = ratio_interval(slower, quicker), ratio_interval(quicker, slower)
    assert there is not None
    assert back is not None
    assert there.inverse().low == pytest.approx(back.low)
    assert there.inverse().high == pytest.approx(back.high)


def test_no_difference_is_said_with_the_interval() -> None:
    interval = ratio_interval({k: 0.97 + k / 100 for k in range(8)}, dict.fromkeys(range(8), 1.0))
    assert interval is not None
    assert no_difference(interval) == "no difference found (0.97–1.04)"


def test_a_spread_has_the_quartiles_of_the_standard_library() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 9.0, 7.0]
    found = spread(values)
    assert found is not None
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    assert (found.lower_quartile, found.median, found.upper_quartile) == pytest.approx((lower, median, upper))
    assert (found.low, found.high, found.count) == (1, 9, 6)
    assert spread([]) is None
    assert spread([3.0]) == Spread(median=3.0, low=3.0, high=3.0, lower_quartile=3.0, upper_quartile=3.0, count=1)
