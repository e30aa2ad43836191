"""Where Kornia's own transforms differ from the definition, and by how much: the figures of docs/augmentation.md.

They are why its functions get our parameters here, and two of its operations our weights. A figure that moved, because
Kornia changed, is to be measured and written down again.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator

import kornia.augmentation as K
import pytest
import torch
from kornia.enhance import (
    adjust_brightness_accumulative,
    adjust_contrast_with_mean_subtraction,
    adjust_hue,
    adjust_saturation_with_gray_subtraction,
)
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from tests.trainer.photographs import photographs
from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer import augment_kornia
from trainer.augment import LUMA_WEIGHTS, UNIFORMS_PER_VIEW, draw_parameters, to_unit, view_major
from trainer.randomness import uniforms

COUNT = 64


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Kornia draws from torch's global generator."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield
    torch.set_num_threads(threads)


def levels(ours: Tensor, theirs: Tensor) -> tuple[float, float]:
    """Mean and largest difference between pictures in [0, 1], in levels of 255."""
    error = (ours - theirs).abs() * 255
    return float(error.mean()), float(error.max())


def crop_difference(side: int, **options: object) -> tuple[float, float]:
    """Kornia's own crop to 96 pixels against torchvision's of the same boxes."""
    images = to_unit(photographs(COUNT, side))
    crop = K.RandomResizedCrop((96, 96), scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), **options)
    theirs = crop(images)
    corners = crop._params["src"].long()
    left, top = corners[:, 0].unbind(1)
    right, bottom = corners[:, 2].unbind(1)
    boxes = torch.stack([top, left, bottom - top + 1, right - left + 1], dim=1).tolist()
    ours = [TF.resized_crop(image, *box, [96, 96], antialias=True) for image, box in zip(images, boxes, strict=True)]
    return levels(torch.stack(ours), theirs)


def test_kornias_crop_is_another_one_unless_its_corners_are_not_aligned_and_it_slices() -> None:
    mean, largest = crop_difference(96)
    assert 0.8 < mean < 2
    assert 30 < largest < 80
    assert crop_difference(96, align_corners=False)[1] < 0.01
    assert crop_difference(96, align_corners=False, cropping_mode="resample")[0] > 0.5


def test_kornias_crop_of_a_larger_image_is_not_antialiased() -> None:
    mean, largest = crop_difference(224, align_corners=False)
    assert 1 < mean < 3
    assert 50 < largest < 120


@pytest.mark.parametrize(
    ("theirs", "ours", "at_least", "at_most"),
    [
        (adjust_brightness_accumulative, TF.adjust_brightness, 0.0, 1e-3),
        (adjust_contrast_with_mean_subtraction, TF.adjust_contrast, 0.002, 0.02),
        (adjust_saturation_with_gray_subtraction, TF.adjust_saturation, 0.002, 0.02),
    ],
)
def test_kornias_contrast_and_saturation_weigh_red_a_little_more(
    theirs: Callable[[Tensor, Tensor], Tensor], ours: Callable[[Tensor, float], Tensor], at_least: float, at_most: float
) -> None:
    images, factors = to_unit(photographs(COUNT, 96)), torch.linspace(0.5, 1.5, COUNT)
    expected = torch.stack([ours(image, float(factor)) for image, factor in zip(images, factors, strict=True)])
    assert at_least <= levels(expected, theirs(images, factors))[1] < at_most


def test_kornias_grayscale_weighs_red_a_little_more_and_its_hue_and_blur_are_the_same() -> None:
    images = to_unit(photographs(COUNT, 96))
    gray = torch.stack([TF.rgb_to_grayscale(image, 3) for image in images])
    assert 0.01 < levels(gray, K.RandomGrayscale(p=1.0)(images))[1] < 0.05
    shifts = torch.linspace(-0.5, 0.5, COUNT)
    hue = torch.stack([TF.adjust_hue(image, float(shift)) for image, shift in zip(images, shifts, strict=True)])
    assert levels(hue, adjust_hue(images, shifts * 2 * torch.pi))[1] < 0.001
    blur = K.RandomGaussianBlur((9, 9), (0.1, 2.0), p=1.0)
    theirs = blur(images)
    sigmas = blur._params["sigma"].tolist()
    ours = [TF.gaussian_blur(image, [9, 9], [sigma] * 2) for image, sigma in zip(images, sigmas, strict=True)]
    assert levels(torch.stack(ours), theirs)[1] < 0.001


def test_kornias_jiggle_adds_its_brightness() -> None:
    images = to_unit(photographs(COUNT, 96))
    jiggle = K.ColorJiggle(brightness=(0.5, 1.5), p=1.0)
    theirs = jiggle(images)
    factors = jiggle._params["brightness_factor"].tolist()
    ours = [TF.adjust_brightness(image, factor) for image, factor in zip(images, factors, strict=True)]
    assert 20 < levels(torch.stack(ours), theirs)[0] < 35


def test_kornias_jitter_has_one_order_for_a_batch_and_ours_all_of_them() -> None:
    jitter = K.ColorJitter(0.5, 0.5, 0.5, 0.1, p=1.0)
    jitter(torch.rand(256, 3, 8, 8))
    assert jitter._params["brightness_factor"].shape == (256,)
    assert jitter._params["order"].shape == (4,)
    own = draw_parameters(view_major(uniforms(0, 1, 128, 2, UNIFORMS_PER_VIEW)), TUTORIAL, 96, 96).order
    assert len(own.unique(dim=0)) == 24


def test_what_sharing_an_order_does_to_a_batch_is_small() -> None:
    """Every photograph with its own factors under all 24 orders: what changes with the order, and how much of that
    change two photographs of a batch would have in common."""
    recipe = dataclasses.replace(NOTHING, jitter_probability=1.0)
    images = photographs(128, 32)
    drawn = draw_parameters(uniforms(0, 1, 128, 1, UNIFORMS_PER_VIEW)[:, 0], recipe, 32, 32)
    views = torch.stack(
        [
            augment_kornia.augment_batch(
                images, dataclasses.replace(drawn, order=torch.tensor(order).expand(128, 4)), recipe, 32
            )
            for order in itertools.permutations(range(4))
        ]
    )
    views = views / 2 + 0.5
    pairs = [levels(views[one], views[other])[0] for one, other in itertools.combinations(range(24), 2)]
    assert 2 < sum(pairs) / len(pairs) < 3.2
    luma = torch.einsum("omchw,c->omhw", views, torch.tensor(LUMA_WEIGHTS))
    for statistic in (luma.mean(dim=(2, 3)), luma.std(dim=(2, 3)), (views.amax(2) - views.amin(2)).mean(dim=(2, 3))):
        effect = statistic - statistic.mean(dim=0)
        shared = (effect.sum(dim=1) ** 2 - (effect**2).sum(dim=1)).mean() / (128 * 127)
        assert abs(float(shared / (effect**2).mean())) < 0.02  # the correlation of two views of a batch
        assert 0.001 < float((effect**2).mean() / statistic.var()) < 0.01  # the order's part of what views differ by
