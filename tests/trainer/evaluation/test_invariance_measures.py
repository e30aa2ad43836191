"""Both figures on features of which the answer is known."""

import math

import pytest
import torch
from sklearn.metrics import r2_score
from torch import Tensor

from trainer.data.split import go_on
from trainer.evaluation.invariance_measures import MIN_IMAGES, ImageSplit, _point_r_squared, tells, varies
from trainer.evaluation.ridge import RidgeProblem, r_squared

IMAGES, VIEWS, FEATURES = 300, 2, 24
SPLIT = ImageSplit.draw(IMAGES, seed=0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def cases_drawn(cases: int, views: int = VIEWS) -> Tensor:
    """A case for each view, (IMAGES, views, 1)."""
    return torch.randint(cases, (IMAGES, views, 1), generator=torch.Generator().manual_seed(5)).float()


def test_numbers_that_the_features_hold_linearly_are_told_wholly() -> None:
    targets = noise(IMAGES, VIEWS, 3, seed=1)
    rotation = torch.linalg.qr(noise(FEATURES + 3, FEATURES + 3, seed=2)).Q
    features = torch.cat([noise(IMAGES, VIEWS, FEATURES), targets], dim=2) @ rotation
    assert tells(features, targets, SPLIT, go_on) > 0.99


def test_numbers_that_the_features_do_not_hold_are_not_told() -> None:
    assert tells(noise(IMAGES, VIEWS, FEATURES), noise(IMAGES, VIEWS, 3, seed=1), SPLIT, go_on) < 0.05


def test_a_signal_under_as_much_noise_is_half_told() -> None:
    targets = noise(IMAGES, VIEWS, 1, seed=1)
    told = tells(targets + noise(IMAGES, VIEWS, 1), targets, SPLIT, go_on)
    assert told == pytest.approx(0.5, abs=0.12)


def test_a_coordinate_of_a_point_that_hardly_varies_hardly_counts() -> None:
    angle = 0.3 * noise(IMAGES, VIEWS, 1, seed=1).clamp(-2, 2)
    targets = torch.cat([angle.sin(), angle.cos()], dim=2)
    assert tells(angle, targets, SPLIT, go_on, as_point=True) > 0.9
    assert tells(angle, targets, SPLIT, go_on) < 0.6, "the control: the mean gives the cosine half of the weight"


def test_a_points_r_squared_is_scikit_learns_by_variance() -> None:
    targets, errors = noise(50, 3, seed=1) * torch.tensor([1.0, 5.0, 0.1]), noise(50, 3, seed=2)
    expected = r2_score(targets, targets + errors, multioutput="variance_weighted")
    assert _point_r_squared(targets + errors, targets) == pytest.approx(expected, abs=1e-6)
    assert _point_r_squared(errors, torch.ones(50, 3)) == 0


@pytest.mark.parametrize("cases", [2, 4])
def test_cases_that_the_features_hold_are_told_wholly_and_others_not(cases: int) -> None:
    targets = cases_drawn(cases)
    mean_KD = 4 * noise(cases, FEATURES, seed=3)
    apart = mean_KD[targets[..., 0].long()] + noise(IMAGES, VIEWS, FEATURES)
    assert tells(apart, targets, SPLIT, go_on, cases=cases) > 0.97
    assert tells(noise(IMAGES, VIEWS, FEATURES), targets, SPLIT, go_on, cases=cases) < 0.2


@pytest.mark.parametrize("cases", [0, 2], ids=["numbers", "cases"])
def test_features_that_only_say_which_image_it_is_tell_nothing(cases: int) -> None:
    # The target is the same for all views of an image, so whoever has fitted on one of its views knows the other.
    targets = (cases_drawn(2, views=1) if cases else noise(IMAGES, 1, 1, seed=1)).expand(-1, VIEWS, -1)
    features = noise(IMAGES, 1, 2 * IMAGES).expand(-1, VIEWS, -1)
    assert tells(features, targets, SPLIT, go_on, cases=cases) < 0.2
    order = torch.randperm(IMAGES * VIEWS, generator=torch.Generator().manual_seed(0))
    views, drawn = (values.flatten(0, 1)[order][:, None] for values in (features, targets))
    leaked = tells(views, drawn, ImageSplit.draw(IMAGES * VIEWS, seed=0), go_on, cases=cases)
    assert leaked > 0.5, "the control: divided by views, the same features look telling"


def test_the_strength_is_chosen_so_that_many_idle_features_do_not_drown_a_few() -> None:
    targets = noise(IMAGES, VIEWS, 1, seed=1)
    features = torch.cat([targets + 0.5 * noise(IMAGES, VIEWS, 1, seed=2), noise(IMAGES, VIEWS, 400)], dim=2)
    rows = torch.cat([SPLIT.fit, SPLIT.choose])
    unchosen = RidgeProblem(features[rows].flatten(0, 1), targets[rows].flatten(0, 1)).solve(1e-5)
    held_out = (features[SPLIT.score].flatten(0, 1), targets[SPLIT.score].flatten(0, 1))
    assert tells(features, targets, SPLIT, go_on) > r_squared(unchosen.predict(held_out[0]), held_out[1]) + 0.1


def test_a_layer_that_is_constant_tells_nothing() -> None:
    constant = torch.full((IMAGES, VIEWS, 4), 0.3)
    assert tells(constant, noise(IMAGES, VIEWS, 1), SPLIT, go_on) == 0
    assert tells(constant, cases_drawn(2), SPLIT, go_on, cases=2) < 0.15


@pytest.mark.parametrize("images", [MIN_IMAGES, 11, 2000])
def test_each_image_is_for_one_thing(images: int) -> None:
    split = ImageSplit.draw(images, seed=3)
    parts = (split.fit, split.choose, split.score)
    assert torch.cat(parts).sort().values.tolist() == list(range(images))
    assert all(len(part) >= images // 5 for part in parts)
    assert torch.equal(split.score, ImageSplit.draw(images, seed=3).score)
    assert not torch.equal(split.score, ImageSplit.draw(images, seed=4).score)


def intraclass(features_NVD: Tensor) -> float:
    """One minus ICC(1) of standardised features, loop by loop."""
    x = features_NVD.double().numpy()
    images, views, features = x.shape
    within = between = 0.0
    for d in range(features):
        column = (x[:, :, d] - x[:, :, d].mean()) / x[:, :, d].std()
        for views_of_image in column:
            within += sum((value - views_of_image.mean()) ** 2 for value in views_of_image) / (images * (views - 1))
            between += views * (views_of_image.mean() - column.mean()) ** 2 / (images - 1)
    icc = (between - within) / (between + (views - 1) * within)
    return float(min(1.0, 1 - icc))


def mixed(images: int, views: int, within: float, between: float, features: int = 16) -> Tensor:
    """Features whose variances within and between images are known, each of another scale."""
    scale_D = torch.logspace(-3, 3, features)
    image_N1D, view_NVD = noise(images, 1, features, seed=6), noise(images, views, features, seed=7)
    x_NVD = math.sqrt(between) * image_N1D + math.sqrt(within) * view_NVD + 2
    return x_NVD * scale_D


@pytest.mark.parametrize(("views", "within"), [(2, 0.5), (5, 2.0)])
def test_the_part_within_images_is_one_minus_the_intraclass_correlation(views: int, within: float) -> None:
    features = mixed(20, views, within, between=1.0, features=5)
    assert varies(features) == pytest.approx(intraclass(features), rel=1e-6)


@pytest.mark.parametrize("views", [2, 8])
@pytest.mark.parametrize(("within", "part"), [(1 / 3, 0.25), (1.0, 0.5), (3.0, 0.75)])
def test_the_part_within_images_is_found_whatever_the_number_of_views(views: int, within: float, part: float) -> None:
    features = mixed(1500, views, within, between=1.0)
    assert varies(features) == pytest.approx(part, abs=0.02)
    naive = features.var(dim=1, correction=0).mean(dim=0) / features.flatten(0, 1).var(dim=0, correction=0)
    if views == 2:
        assert abs(naive.mean().item() - part) > 0.1, "the control: without degrees of freedom, two views say half"


def test_equal_views_are_invariant_and_images_that_do_not_matter_are_not() -> None:
    assert varies(noise(50, 1, 8).expand(-1, 3, -1)) == pytest.approx(0.0, abs=1e-12)
    assert varies(noise(2000, 2, 8)) == pytest.approx(1.0, abs=0.03)
    assert varies(noise(1, 2, 8).expand(50, -1, -1)) == 1.0


def test_a_layer_without_any_variance_has_no_part_of_it() -> None:
    constant = torch.full((50, 2, 8), 0.1)
    assert varies(constant) is None
    only_one = torch.cat([constant, noise(50, 2, 1)], dim=2)
    assert varies(only_one) == pytest.approx(varies(only_one[:, :, -1:]))
