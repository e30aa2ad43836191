"""What follows from the facts of a run: how far the loss has come, and what the figures were."""

import math

import pytest
import torch

from trainer.facts import Facts, is_known, known_values
from trainer.loss import nt_xent


def test_chance_is_no_progress_and_the_floor_is_all_of_it() -> None:
    facts = Facts(loss_chance=math.log(127), temperature=0.5)
    assert facts.progress(math.log(127)) == 0
    assert facts.progress(math.log(127) - facts.reach) == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0, 10.0])
def test_the_floor_is_the_loss_of_positives_that_agree_and_negatives_that_are_at_right_angles(
    temperature: float,
) -> None:
    images = torch.eye(64, dtype=torch.float64)
    lowest = float(nt_xent(images.repeat(2, 1), temperature))
    facts = Facts(loss_chance=math.log(127), temperature=temperature)
    assert facts.progress(lowest) == pytest.approx(1, rel=1e-9)


def test_a_high_temperature_leaves_the_loss_little_way_to_go() -> None:
    sharp, blunt = (Facts(loss_chance=5.0, temperature=temperature).reach for temperature in (0.07, 1.0))
    assert sharp == pytest.approx(5.0, abs=1e-3)
    assert blunt < 1.0


def test_the_views_of_a_class_share_what_is_left_of_a_supcon_loss() -> None:
    """128 views of ten classes, the classes at right angles to each other: ln of the positives and the view itself."""
    facts = Facts(method="supcon", loss_chance=math.log(127), classes=10)
    assert facts.progress(math.log(12.7)) == pytest.approx(1)


def test_cross_entropy_can_reach_zero() -> None:
    assert Facts(method="cross-entropy", loss_chance=math.log(10), temperature=0.5).progress(0.0) == 1


@pytest.mark.parametrize("chance", [None, math.nan, math.inf, 0.0, -1.0])
def test_without_a_chance_level_no_change_counts(chance: float | None) -> None:
    facts = Facts(loss_chance=chance, temperature=0.1)
    assert facts.reach == math.inf
    assert facts.progress(3.0) == 1


@pytest.mark.parametrize("temperature", [5e-324, 1e-3, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    assert Facts(loss_chance=800.0, temperature=temperature).reach > 0
    assert not math.isnan(Facts(loss_chance=1e-320, temperature=temperature).progress(1e300))


def test_figures_are_the_last_ones_and_none_where_one_is_missing() -> None:
    facts = Facts(health=({"rank_z": 1.0}, {"rank_z": 2.0}, {"rank_z": 3.0, "std_z": None}))
    assert facts.last_figures("rank_z", 2) == [2.0, 3.0]
    assert facts.last_figures("rank_z", 4) == []
    assert facts.last_figures("std_z", 1) == []
    assert Facts().last_figures("rank_z", 1) == []


def test_the_untrained_figures_may_be_missing() -> None:
    assert Facts().untrained_figure("std_z") is None
    assert Facts(untrained={"std_z": math.nan}).untrained_figure("std_z") is None
    assert Facts(untrained={"std_z": 0.2}).untrained_figure("std_z") == 0.2


def test_images_bound_the_directions_as_well_as_the_size_does() -> None:
    assert Facts(health_images=256).directions(128) == 128
    assert Facts(health_images=65).directions(128) == 64
    assert Facts(health_images=256).directions(None) == 0
    assert Facts().directions(128) == 0


def test_the_latest_loss_is_that_of_the_latest_steps() -> None:
    assert Facts().latest_loss is None
    assert Facts(losses=(3.0, 2.0, None)).latest_loss == 2.0
    assert Facts(losses=(3.0, 2.0), recent_loss=1.9).latest_loss == 1.9


def test_only_what_can_be_reckoned_with_is_known() -> None:
    assert known_values((1.0, None, math.nan, math.inf, 2.0)) == [1.0, 2.0]
    assert is_known(0.0)
