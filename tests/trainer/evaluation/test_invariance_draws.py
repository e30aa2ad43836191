"""Views under one augmentation alone: each is what torchvision makes of the image with the number that was drawn."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer import randomness
from trainer.augment import (
    NORMALISATIONS,
    UNIFORMS_PER_VIEW,
    AugmentRecipe,
    ViewParameters,
    draw_parameters,
    normalise,
    to_unit,
    view_major,
)
from trainer.data.split import go_on
from trainer.evaluation.invariance_draws import (
    CATEGORIES,
    JITTER,
    POINTS,
    SIMCLR_SCALE,
    SIMCLR_SIGMA,
    SIMCLR_STRENGTHS,
    UNIFORMS,
    alone,
    has_strength,
    is_trained_with,
    views_of,
)
from trainer.evaluation.invariance_measures import ImageSplit, tells
from trainer.evaluation.names import AUGMENTATIONS
from trainer.presets import load_preset

IMAGES, VIEWS, SIDE = 6, 4, 24


def draws(seed: int = 0, images: int = IMAGES) -> Tensor:
    """Uniforms of some images' views."""
    return randomness.uniforms(seed, "test", images, VIEWS, UNIFORMS)


def photographs() -> Tensor:
    """Smooth random colours, uint8 (IMAGES, 3, SIDE, SIDE)."""
    coarse = torch.rand(IMAGES, 3, 5, 5, generator=torch.Generator().manual_seed(3))
    fine: Tensor = transforms.resize(coarse, [SIDE, SIDE])
    return (fine * 255).to(torch.uint8)


def undone(views_MCHW: Tensor) -> Tensor:
    """Views in [0, 1], the normalisation taken back."""
    mean, deviation = torch.tensor(NORMALISATIONS[TUTORIAL.normalisation])[:, :, None, None]
    plain_MCHW: Tensor = views_MCHW * deviation + mean
    return plain_MCHW


def one_number(name: str, targets_MT: Tensor) -> Tensor:
    """What was drawn for each view, (M,): the hue's turns from their sine and cosine, the other targets as they are."""
    if name != "hue":
        return targets_MT.squeeze(1)
    return torch.atan2(*targets_MT.unbind(1)) / (2 * math.pi)


def expected(name: str, image_CHW: Tensor, drawn: float) -> Tensor:
    """What torchvision makes of an image in [0, 1]."""
    changed: Tensor
    if name in ("flip", "grayscale") and not drawn:
        changed = image_CHW
    elif name == "flip":
        changed = image_CHW.flip(-1)
    elif name == "grayscale":
        changed = transforms.rgb_to_grayscale(image_CHW, num_output_channels=3)
    elif name == "rotation":
        changed = transforms.rotate(image_CHW, 90 * drawn)
    elif name == "blur":
        changed = transforms.gaussian_blur(image_CHW, [TUTORIAL.blur_kernel_size] * 2, [drawn] * 2)
    else:
        changed = getattr(transforms, f"adjust_{name}")(image_CHW, drawn)
    return changed


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name != "crop"])
def test_a_view_is_the_image_changed_by_the_number_that_was_drawn_and_by_nothing_else(name: str) -> None:
    images = photographs()
    views_MCHW, targets_MT = views_of(name, images, draws(), alone(name, TUTORIAL))
    drawn_M = one_number(name, targets_MT)
    assert drawn_M.shape == (IMAGES * VIEWS,)
    assert len(drawn_M.unique()) == CATEGORIES.get(name, IMAGES * VIEWS), "all cases, or each its own number"
    plain_MCHW = to_unit(images.repeat(VIEWS, 1, 1, 1))
    for view, drawn, image in zip(undone(views_MCHW), drawn_M.tolist(), plain_MCHW, strict=True):
        torch.testing.assert_close(view, expected(name, image, drawn), rtol=0, atol=2e-3)


def test_a_crop_is_described_by_its_area_and_its_centre() -> None:
    images, recipe = photographs(), alone("crop", TUTORIAL)
    views_MCHW, targets_MT = views_of("crop", images, draws(), recipe)
    boxes = draw_parameters(view_major(draws())[:, :UNIFORMS_PER_VIEW], recipe, SIDE, SIDE)
    plain_MCHW = to_unit(images.repeat(VIEWS, 1, 1, 1))
    for m, (view, image) in enumerate(zip(undone(views_MCHW), plain_MCHW, strict=True)):
        box = [int(edge[m]) for edge in (boxes.top, boxes.left, boxes.height, boxes.width)]
        cropped = transforms.resized_crop(image, *box, [SIDE, SIDE], antialias=True)
        torch.testing.assert_close(view, cropped, rtol=0, atol=2e-3)
        top, left, height, width = box
        area, x, y = targets_MT[m].tolist()
        assert area == pytest.approx(math.log(height * width / SIDE**2), abs=1e-5)
        assert (x, y) == pytest.approx(((left + width / 2) / SIDE, (top + height / 2) / SIDE))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_view_does_not_depend_on_its_batch(name: str) -> None:
    images, recipe = photographs(), alone(name, TUTORIAL)
    whole, targets = views_of(name, images, draws(), recipe)
    one, target = views_of(name, images[4:5], draws()[4:5], recipe)
    torch.testing.assert_close(one, whole.view(VIEWS, IMAGES, 3, SIDE, SIDE)[:, 4])
    assert torch.equal(target, targets.view(VIEWS, IMAGES, -1)[:, 4])


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if name not in ("crop", "rotation")])
def test_the_runs_own_strength_is_taken(name: str) -> None:
    stronger = dataclasses.replace(TUTORIAL, strengths=(0.9, 0.9, 0.9, 0.45), sigma=(3.0, 4.0))
    targets, wider = (
        one_number(name, views_of(name, photographs(), draws(), alone(name, recipe))[1])
        for recipe in (TUTORIAL, stronger)
    )
    if name in CATEGORIES:
        assert torch.equal(targets, wider)
    else:
        assert wider.std() > targets.std() or wider.min() >= 3
        assert wider.max() > targets.max()


def test_what_a_recipe_leaves_as_it_is_gets_simclrs_strength() -> None:
    bare = dataclasses.replace(NOTHING, strengths=(0.0,) * 4, sigma=(1.0, 1.0), blur_kernel_size=1)
    assert not any(has_strength(name, bare) for name in AUGMENTATIONS if name not in CATEGORIES)
    assert alone("crop", bare).scale == SIMCLR_SCALE
    assert alone("hue", bare).strengths == (0.0, 0.0, 0.0, SIMCLR_STRENGTHS[3])
    blurred = alone("blur", bare)
    assert (blurred.sigma, blurred.blur_kernel_size, blurred.blur_probability) == (SIMCLR_SIGMA, 3, 1.0)


@pytest.mark.parametrize(
    ("preset", "unused"),
    [("stl10-ce", [*JITTER]), ("cifar10-ce", [*JITTER, "blur"]), ("cifar10-supcontrast", ["blur"])],
)
def test_a_strength_that_the_recipe_never_uses_gives_way_to_simclrs(preset: str, unused: list[str]) -> None:
    recipe = AugmentRecipe.from_config(load_preset(preset).config())
    assert all(strength > 0 for strength in recipe.strengths), "the settings' defaults, which are not SimCLR's"
    assert [name for name in AUGMENTATIONS if not has_strength(name, recipe)] == unused
    for name in unused:
        taken = alone(name, recipe)
        if name == "blur":
            assert taken.sigma == SIMCLR_SIGMA
        else:
            assert taken.strengths[JITTER.index(name)] == SIMCLR_STRENGTHS[JITTER.index(name)]


MANY, SMALL = 300, 12
"""Images and their side in pixels, where something is fitted to what was drawn."""


def told(name: str, features_MD: Tensor, targets_MT: Tensor) -> float:
    """The figure of features in the order of the views."""
    features_NVD, targets_NVT = (x.view(VIEWS, MANY, -1).transpose(0, 1) for x in (features_MD.float(), targets_MT))
    split, cases = ImageSplit.draw(MANY, seed=0), CATEGORIES.get(name, 0)
    return tells(features_NVD, targets_NVT, split, go_on, cases=cases, as_point=name in POINTS)


def held(name: str, parameters: ViewParameters, turns_M: Tensor) -> Tensor:
    """What a linear function needs to know of each view, (M, D)."""
    p = parameters
    if name == "crop":
        return torch.stack([(p.height * p.width).log(), p.left + p.width / 2, p.top + p.height / 2], dim=1)
    if name == "hue":
        point_M = torch.polar(torch.ones_like(p.hue), 2 * math.pi * p.hue)
        return torch.view_as_real(point_M)
    if name == "rotation":
        return torch.nn.functional.one_hot(turns_M, 4)
    values_M: Tensor = p.sigma if name == "blur" else getattr(p, name)
    return values_M[:, None]


@pytest.mark.parametrize(("name", "strength"), [*((name, 0.1) for name in AUGMENTATIONS), ("hue", 0.02), ("hue", 0.5)])
def test_features_that_hold_what_was_drawn_tell_it_wholly(name: str, strength: float) -> None:
    recipe = alone(name, dataclasses.replace(TUTORIAL, strengths=(strength,) * 4))
    uniforms = draws(images=MANY)
    _, targets_MT = views_of(name, torch.zeros(MANY, 3, SMALL, SMALL, dtype=torch.uint8), uniforms, recipe)
    uniforms_MK = view_major(uniforms)
    parameters = draw_parameters(uniforms_MK[:, :UNIFORMS_PER_VIEW], recipe, SMALL, SMALL)
    features_MD = held(name, parameters, (4 * uniforms_MK[:, -1]).long())
    assert told(name, features_MD, targets_MT) > 0.999


def test_a_colour_that_may_go_around_the_whole_circle_tells_its_hue() -> None:
    red = torch.tensor([200, 40, 40], dtype=torch.uint8)[:, None, None].expand(MANY, 3, SMALL, SMALL)
    recipe = alone("hue", dataclasses.replace(TUTORIAL, strengths=(0.0, 0.0, 0.0, 0.5)))
    views_MCHW, targets_MT = views_of("hue", red, draws(images=MANY), recipe)
    colours_MC = views_MCHW.mean(dim=(2, 3))
    assert told("hue", colours_MC, targets_MT) > 0.97
    on_a_line_MT = one_number("hue", targets_MT)[:, None]
    assert told("hue", colours_MC, on_a_line_MT) < 0.7, "the control: a line has two ends where the circle has none"


def test_a_run_was_trained_with_what_its_recipe_does() -> None:
    assert [name for name in AUGMENTATIONS if not is_trained_with(name, TUTORIAL)] == ["rotation"]
    assert [name for name in AUGMENTATIONS if is_trained_with(name, NOTHING)] == []
    without = dataclasses.replace(TUTORIAL, jitter_probability=0.0, blur_probability=0.0)
    assert [name for name in AUGMENTATIONS if is_trained_with(name, without)] == ["crop", "flip", "grayscale"]


def test_without_an_augmentation_the_image_is_as_evaluation_sees_it() -> None:
    images = photographs()
    views_MCHW, turns_MT = views_of("rotation", images, draws(), alone("rotation", TUTORIAL))
    upright = turns_MT[:, 0] == 0
    assert upright.any()
    plain = normalise(images.repeat(VIEWS, 1, 1, 1), TUTORIAL.normalisation)
    torch.testing.assert_close(views_MCHW[upright], plain[upright])
