"""Views under one augmentation alone: each is what torchvision makes of the image with the number that was drawn."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer import randomness
from trainer.augment import NORMALISATIONS, UNIFORMS_PER_VIEW, draw_parameters, normalise, to_unit, view_major
from trainer.evaluation.invariance_draws import (
    CATEGORIES,
    SIMCLR_SCALE,
    SIMCLR_SIGMA,
    SIMCLR_STRENGTHS,
    UNIFORMS,
    alone,
    has_strength,
    is_trained_with,
    views_of,
)
from trainer.evaluation.names import AUGMENTATIONS

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
    assert targets_MT.shape == (IMAGES * VIEWS, 1)
    assert len(targets_MT.unique()) == CATEGORIES.get(name, IMAGES * VIEWS), "all cases, or each its own number"
    plain_MCHW = to_unit(images.repeat(VIEWS, 1, 1, 1))
    for view, (drawn,), image in zip(undone(views_MCHW), targets_MT.tolist(), plain_MCHW, strict=True):
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
    _, targets = views_of(name, photographs(), draws(), alone(name, TUTORIAL))
    _, wider = views_of(name, photographs(), draws(), alone(name, stronger))
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
