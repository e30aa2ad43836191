import itertools
import math

import pytest

from trainer.chance import chance_levels


def test_the_tutorials_batch_has_the_published_chance_levels() -> None:
    chance = chance_levels(256)
    assert chance.loss == pytest.approx(6.236, abs=5e-4)
    assert chance.acc_top1 == 1 / 511
    assert chance.acc_top5 == 5 / 511
    assert chance.acc_mean_pos == 256


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_levels_are_those_of_a_positive_at_a_random_place(batch_size: int) -> None:
    places = range(1, 2 * batch_size)
    chance = chance_levels(batch_size)
    assert chance.loss == pytest.approx(-sum(math.log(1 / len(places)) for _ in places) / len(places))
    assert chance.acc_top1 == sum(place <= 1 for place in places) / len(places)
    assert chance.acc_top5 == sum(place <= 5 for place in places) / len(places)
    assert chance.acc_mean_pos == sum(places) / len(places)


def test_a_batch_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="0 images of 2 views"):
        chance_levels(0)
    with pytest.raises(ValueError, match="4 images of 1 views"):
        chance_levels(4, views=1)


@pytest.mark.parametrize(("batch_size", "views"), [(1, 3), (2, 3), (3, 3), (5, 4), (2, 8)])
def test_with_several_positives_the_nearest_counts(batch_size: int, views: int) -> None:
    """Against every way in which the positives can be placed among the other views."""
    others = views * batch_size - 1
    placings = list(itertools.combinations(range(others), views - 1))
    firsts = [placing[0] + 1 for placing in placings]
    chance = chance_levels(batch_size, views)
    assert chance.loss == pytest.approx(math.log(others))
    assert chance.acc_top1 == pytest.approx(sum(first <= 1 for first in firsts) / len(firsts))
    assert chance.acc_top5 == pytest.approx(sum(first <= 5 for first in firsts) / len(firsts))
    assert chance.acc_mean_pos == pytest.approx(sum(firsts) / len(firsts))
