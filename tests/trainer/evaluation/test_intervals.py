import math

import numpy as np
import pytest
from scipy import stats

from trainer.evaluation.intervals import Interval, interval, t_quantile


@pytest.mark.parametrize(
    ("degrees", "published"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (99, 1.984)]
)
def test_quantiles_are_those_of_the_printed_table(degrees: int, published: float) -> None:
    assert t_quantile(degrees) == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 100])
def test_an_interval_is_scipys(count: int) -> None:
    values = np.random.default_rng(count).normal(0.6, 0.03, count)
    found = interval(values.tolist())
    low, high = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert found.ends == pytest.approx((low, high))
    assert found.mean == pytest.approx(values.mean())


def test_intervals_of_five_draws_hold_the_true_mean_19_times_in_20() -> None:
    draws = np.random.default_rng(0).normal(0.6, 0.02, (4000, 5))
    held, held_by_the_normal = 0, 0
    for values in draws:
        found = interval(values.tolist())
        assert found.half_width is not None
        held += abs(found.mean - 0.6) <= found.half_width
        held_by_the_normal += abs(found.mean - 0.6) <= found.half_width / 2.776 * 1.96
    assert held / len(draws) == pytest.approx(0.95, abs=0.015)
    assert held_by_the_normal / len(draws) < 0.9, "five draws can't tell the two quantiles apart"


def test_one_draw_has_no_interval() -> None:
    assert interval([0.628]) == Interval(0.628, None)
    assert interval([0.628]).ends is None
    assert interval([0.628]).percent() == "62.8"


def test_equal_draws_have_an_interval_of_nothing() -> None:
    assert interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.0)


def test_a_cell_has_mean_and_half_width_in_percent() -> None:
    values = [0.62, 0.63, 0.64]
    assert interval(values).percent() == f"63.0 ± {100 * 4.303 * 0.01 / math.sqrt(3):.1f}" == "63.0 ± 2.5"


def test_an_interval_ends_where_accuracies_do() -> None:
    assert interval([0.0, 0.1]).ends == pytest.approx((0.0, 0.05 + 12.706 * 0.05), abs=1e-3)
    assert interval([0.9, 1.0]).ends == pytest.approx((0.95 - 12.706 * 0.05, 1.0), abs=1e-3)
