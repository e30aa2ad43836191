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
    with pytest.raises(ValueError, match="batch_size is 0"):
        chance_levels(0)
