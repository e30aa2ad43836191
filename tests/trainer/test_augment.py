"""What the views are drawn: from the settings, within bounds, each view by itself; and the normalisation."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from tests.trainer.photographs import noise
from tests.trainer.recipes import TUTORIAL
from trainer.augment import (
    NORMALISATIONS,
    UNIFORMS_PER_VIEW,
    AugmentRecipe,
    ViewParameters,
    draw_parameters,
    normalise,
    view_major,
)
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.randomness import uniforms
from trainer.settings import fields_of

FIELDS = tuple(field.name for field in dataclasses.fields(ViewParameters))


def draw(count: int, recipe: AugmentRecipe = TUTORIAL, height: int = 96, width: int = 96) -> ViewParameters:
    return draw_parameters(uniforms(0, 1, count, 1, UNIFORMS_PER_VIEW)[:, 0], recipe, height, width)


def columns(parameters: ViewParameters) -> list[np.ndarray[Any, Any]]:
    return [getattr(parameters, name).numpy() for name in FIELDS]


def test_the_tutorials_recipe_comes_from_the_settings_that_set_nothing() -> None:
    assert AugmentRecipe(
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        flip_probability=0.5,
        jitter_probability=0.8,
        strengths=(0.5, 0.5, 0.5, 0.1),
        grayscale_probability=0.2,
        blur_probability=1.0,
        blur_kernel_size=9,
        sigma=(0.1, 2.0),
        normalisation="half",
    ) == dataclasses.replace(TUTORIAL, ratio=(0.75, 4 / 3))
    assert TUTORIAL.ratio == pytest.approx((3 / 4, 4 / 3))


def test_every_setting_of_the_augmentation_reaches_the_recipe() -> None:
    changed = {
        "crop_scale_min": 0.2, "crop_scale_max": 0.9, "crop_ratio_max": 2.0, "flip_probability": 0.1,
        "jitter_probability": 0.2, "jitter_brightness": 0.3, "jitter_contrast": 0.4, "jitter_saturation": 0.6,
        "jitter_hue": 0.2, "grayscale_probability": 0.7, "blur_probability": 0.6, "blur_kernel": 5,
        "blur_sigma_min": 0.3, "blur_sigma_max": 3.0, "normalisation": "cifar10",
    }  # fmt: skip
    recipe = AugmentRecipe.from_config(PretrainConfig.from_values(changed))
    found = itertools.chain.from_iterable(
        value if isinstance(value, tuple) else (value,) for value in dataclasses.astuple(recipe)
    )
    assert sorted(found, key=str) == sorted([*changed.values(), 0.5], key=str)


def test_a_kernel_that_cannot_be_reflected_is_refused_by_name() -> None:
    fits = PretrainConfig(image_size=32, blur_kernel=63)
    assert AugmentRecipe.from_config(fits).blur_kernel_size == 63
    with pytest.raises(ConfigError, match="--blur-kernel: 65 is too wide for images of 32 pixels; give at most 63"):
        AugmentRecipe.from_config(dataclasses.replace(fits, blur_kernel=65))


def slow_crop(row: list[float], recipe: AugmentRecipe, height: int, width: int) -> tuple[int, int, int, int]:
    """RandomResizedCrop.make_params for one image, with its uniforms given."""
    for attempt in range(10):
        area = height * width * (recipe.scale[0] + row[attempt] * (recipe.scale[1] - recipe.scale[0]))
        low, high = map(math.log, recipe.ratio)
        ratio = math.exp(low + row[10 + attempt] * (high - low))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(row[28] * (height - h + 1)), int(row[29] * (width - w + 1)), h, w
    w, h = width, height
    if width / height < recipe.ratio[0]:
        h = round(width / recipe.ratio[0])
    elif width / height > recipe.ratio[1]:
        w = round(height * recipe.ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize(("height", "width"), [(96, 96), (32, 32), (17, 40), (40, 17), (16, 100)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.01, 0.02), (0.9, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("widest", [1.0, 4 / 3, 4.0])
def test_crops_are_those_of_a_loop_over_images(
    height: int, width: int, scale: tuple[float, float], widest: float
) -> None:
    recipe = dataclasses.replace(TUTORIAL, scale=scale, ratio=(1 / widest, widest))
    draws = uniforms(0, 1, 60, 1, UNIFORMS_PER_VIEW)[:, 0]
    found = draw_parameters(draws, recipe, height, width)
    for number, row in enumerate(draws.tolist()):
        box = tuple(int(side[number]) for side in (found.top, found.left, found.height, found.width))
        assert box == slow_crop(row, recipe, height, width)
        top, left, box_height, box_width = box
        assert 0 <= top <= top + box_height <= height
        assert 0 <= left <= left + box_width <= width
        assert min(box_height, box_width) > 0


@pytest.mark.parametrize(("height", "width"), [(20, 100), (100, 20), (33, 100), (50, 50)])
def test_where_no_attempt_fits_the_crop_is_torchvisions_central_one(height: int, width: int) -> None:
    recipe = dataclasses.replace(TUTORIAL, scale=(1.0, 1.0), ratio=(0.99, 1 / 0.99))
    theirs = v2.RandomResizedCrop(96, scale=(1.0, 1.0), ratio=recipe.ratio).make_params([torch.zeros(3, height, width)])
    ours = draw(50, recipe, height, width)
    if height != width:
        assert {name: set(getattr(ours, name).tolist()) for name in theirs} == {n: {v} for n, v in theirs.items()}
    else:
        assert int(ours.height.min()) >= 49


def test_extreme_uniforms_stay_within_bounds() -> None:
    for value in (0.0, 1 - 2**-24):
        ends = draw_parameters(torch.full((1, UNIFORMS_PER_VIEW), value), TUTORIAL, 97, 65)
        assert 0 <= int(ends.top) <= 97 - int(ends.height)
        assert 0 <= int(ends.left) <= 65 - int(ends.width)
        for name, low, high in (("brightness", 0.5, 1.5), ("hue", -0.1, 0.1), ("sigma", 0.1, 2.0)):
            assert low - 1e-7 <= float(getattr(ends, name)) <= high + 1e-6


def test_a_probability_of_none_or_all_is_meant() -> None:
    names = ("flip", "jitter", "grayscale", "blur")
    for probability in (0.0, 1.0):
        recipe = AugmentRecipe.from_config(
            PretrainConfig.from_values({f"{name}_probability": probability for name in names})
        )
        for name in names:
            assert getattr(draw(300, recipe), name).float().mean() == probability


def test_parameters_do_not_depend_on_the_batch_or_its_order() -> None:
    draws = uniforms(0, 1, 200, 1, UNIFORMS_PER_VIEW)[:, 0]
    whole = columns(draw_parameters(draws, TUTORIAL, 96, 96))
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    for shuffled, column in zip(columns(draw_parameters(draws[order], TUTORIAL, 96, 96)), whole, strict=True):
        assert np.array_equal(shuffled, column[order])
    for row in range(200):
        for alone, column in zip(columns(draw_parameters(draws[row : row + 1], TUTORIAL, 96, 96)), whole, strict=True):
            assert np.array_equal(alone[0], column[row])


def test_each_view_of_each_image_draws_its_own_parameters() -> None:
    draws = uniforms(0, 1, 50, 2, UNIFORMS_PER_VIEW)
    parameters = draw_parameters(view_major(draws), TUTORIAL, 96, 96)
    for name in ("brightness", "contrast", "saturation", "hue", "sigma"):
        assert len(set(getattr(parameters, name).tolist())) == 100
    assert len({tuple(row) for row in parameters.order.tolist()}) == 24
    first, second = parameters.height[:50], parameters.height[50:]
    assert float((first != second).float().mean()) > 0.8


def test_view_major_puts_all_first_views_before_all_second_ones() -> None:
    rows = torch.arange(12).view(3, 2, 2)
    assert view_major(rows).tolist() == [[0, 1], [4, 5], [8, 9], [2, 3], [6, 7], [10, 11]]


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisation_is_torchvisions_to_tensor_and_normalize(name: str) -> None:
    images = noise(4, 16)
    before = images.clone()
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(*NORMALISATIONS[name])])
    expected = torch.stack([theirs(image.permute(1, 2, 0).numpy()) for image in images])
    assert torch.equal(normalise(images, name), expected)
    assert torch.equal(normalise(images[0], name), expected[0])
    assert torch.equal(images, before)


def test_the_normalisations_are_those_that_are_published() -> None:
    """ImageNet's by torchvision's own weights; CIFAR-10's as SupContrast's main_supcon.py has them."""
    preset = ResNet18_Weights.IMAGENET1K_V1.transforms()
    assert NORMALISATIONS["imagenet"] == (tuple(preset.mean), tuple(preset.std))
    assert NORMALISATIONS["cifar10"] == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    assert set(NORMALISATIONS) == set(
        next(field.choices for field in fields_of(PretrainConfig) if field.name == "normalisation")
    )
