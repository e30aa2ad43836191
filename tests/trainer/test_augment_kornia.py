"""Kornia's views equal torchvision's, given the same parameters."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torchvision.transforms import Normalize
from torchvision.transforms.v2 import functional as TF

from tests.trainer.photographs import noise, photographs, ramps
from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer import augment_kornia, augment_torchvision
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
from trainer.randomness import uniforms

Pictures = Callable[[int, int], Tensor]

STAGE, WHOLE = 2e-5, 1e-4
"""Largest differences allowed, where black is 0 and white is 1."""

STAGES = {
    "crop": dataclasses.replace(NOTHING, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)),
    "flip": dataclasses.replace(NOTHING, flip_probability=0.5),
    "crop and flip": dataclasses.replace(TUTORIAL, jitter_probability=0, grayscale_probability=0, blur_probability=0),
    "brightness": dataclasses.replace(NOTHING, jitter_probability=0.8, strengths=(0.5, 0.0, 0.0, 0.0)),
    "contrast": dataclasses.replace(NOTHING, jitter_probability=0.8, strengths=(0.0, 0.5, 0.0, 0.0)),
    "saturation": dataclasses.replace(NOTHING, jitter_probability=0.8, strengths=(0.0, 0.0, 0.5, 0.0)),
    "hue": dataclasses.replace(NOTHING, jitter_probability=0.8, strengths=(0.0, 0.0, 0.0, 0.5)),
    "grayscale": dataclasses.replace(NOTHING, grayscale_probability=0.5),
    "grayscale of all": dataclasses.replace(NOTHING, grayscale_probability=1.0),
    "blur": dataclasses.replace(NOTHING, blur_probability=0.5),
    "blur of all": dataclasses.replace(NOTHING, blur_probability=1.0),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def draw(images: Tensor, recipe: AugmentRecipe = TUTORIAL, views: int = 2) -> ViewParameters:
    draws = view_major(uniforms(0, 1, len(images), views, UNIFORMS_PER_VIEW))
    return draw_parameters(draws, recipe, *images.shape[-2:])


def difference(images: Tensor, recipe: AugmentRecipe, size: int) -> float:
    """The largest difference between the two ways' views, in [0, 1]."""
    parameters = draw(images, recipe)
    one, other = (way.augment_batch(images, parameters, recipe, size) for way in (augment_kornia, augment_torchvision))
    assert one.shape == other.shape == (2 * len(images), 3, size, size)
    assert one.dtype == torch.float32
    assert one.is_contiguous()
    return float((one - other).abs().max()) / 2


@pytest.mark.parametrize("size", [32, 96])
@pytest.mark.parametrize("pictures", [photographs, ramps, noise])
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_equals_torchvisions(stage: str, pictures: Pictures, size: int) -> None:
    assert difference(pictures(12, size), STAGES[stage], size) < STAGE


@pytest.mark.parametrize("size", [32, 96, 224])
@pytest.mark.parametrize("pictures", [photographs, ramps, noise])
def test_whole_views_equal_torchvisions(pictures: Pictures, size: int) -> None:
    assert difference(pictures(8, size), TUTORIAL, size) < WHOLE


@pytest.mark.parametrize("name", ["half", "cifar10", "imagenet"])
def test_both_ways_normalise_as_torchvision_does_and_last(name: str) -> None:
    """The views of a recipe without normalisation, through torchvision's own Normalize."""
    images = photographs(6, 32)
    parameters = draw(images)
    mean, deviation = NORMALISATIONS[name]
    recipe = dataclasses.replace(TUTORIAL, normalisation=name)
    for way in (augment_kornia, augment_torchvision):
        in_unit = way.augment_batch(images, parameters, TUTORIAL, 32) / 2 + 0.5
        expected = Normalize(mean, deviation)(in_unit)
        torch.testing.assert_close(way.augment_batch(images, parameters, recipe, 32), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", ["cifar10", "imagenet"])
def test_the_two_ways_agree_under_every_normalisation(name: str) -> None:
    recipe = dataclasses.replace(TUTORIAL, normalisation=name)
    images = photographs(8, 32)
    parameters = draw(images, recipe)
    one, other = (way.augment_batch(images, parameters, recipe, 32) for way in (augment_kornia, augment_torchvision))
    assert float((one - other).abs().max()) * max(NORMALISATIONS[name][1]) < WHOLE


def test_the_crop_is_torchvisions_resized_crop_of_the_floating_image() -> None:
    images = photographs(16, 96)
    recipe = STAGES["crop"]
    parameters = draw(images, recipe)
    boxes = zip(
        *(side.tolist() for side in (parameters.top, parameters.left, parameters.height, parameters.width)), strict=True
    )
    views = augment_kornia.augment_batch(images, parameters, recipe, 96) / 2 + 0.5
    for row, box in enumerate(boxes):
        expected = TF.resized_crop(to_unit(images[row % 16]), *box, [96, 96], antialias=True)
        torch.testing.assert_close(views[row], expected, atol=STAGE, rtol=0)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(96, 96, 64), (97, 65, 33), (200, 150, 32), (40, 120, 64), (30, 50, 64), (48, 96, 96)],
)
def test_crops_of_images_of_another_size_than_the_views_equal_torchvisions(height: int, width: int, size: int) -> None:
    images = photographs(12, height, width)
    for recipe in (STAGES["crop and flip"], dataclasses.replace(NOTHING, scale=(0.9, 1.0))):
        assert difference(images, recipe, size) < STAGE


@pytest.mark.parametrize("row", [0, 5, 11])
def test_the_order_of_the_colour_operations_is_the_views_own(row: int) -> None:
    images = photographs(6, 32)
    recipe = dataclasses.replace(TUTORIAL, jitter_probability=1.0, grayscale_probability=0.0)
    parameters = draw(images, recipe)
    order = parameters.order.clone()
    order[row] = order[row].flip(0)
    changed = dataclasses.replace(parameters, order=order)
    before, after = (augment_kornia.augment_batch(images, one, recipe, 32) for one in (parameters, changed))
    others = torch.arange(12) != row
    assert torch.allclose(before[others], after[others], atol=1e-6)
    assert float((before[row] - after[row]).abs().max()) > 0.02


def test_without_any_step_the_view_is_the_normalised_image() -> None:
    images = noise(6, 32)
    views = augment_kornia.augment_batch(images, draw(images, NOTHING, 1), NOTHING, 32)
    torch.testing.assert_close(views, normalise(images, "half"), atol=2 * STAGE, rtol=0)


def test_an_operation_of_no_strength_changes_nothing() -> None:
    images = noise(6, 32)
    recipe = dataclasses.replace(NOTHING, jitter_probability=1.0, strengths=(0.0, 0.0, 0.0, 0.0))
    parameters = draw(images, recipe)
    left_alone = dataclasses.replace(parameters, jitter=torch.zeros(12, dtype=torch.bool))
    one, other = (augment_kornia.augment_batch(images, drawn, recipe, 32) for drawn in (parameters, left_alone))
    assert torch.equal(one, other)


def test_views_do_not_depend_on_their_company() -> None:
    images = photographs(8, 32)
    draws = uniforms(0, 1, 8, 2, UNIFORMS_PER_VIEW)
    together = augment_kornia.augment_batch(images, draw(images), TUTORIAL, 32)
    for index in range(8):
        own = draw_parameters(draws[index], TUTORIAL, 32, 32)
        alone = augment_kornia.augment_batch(images[index : index + 1], own, TUTORIAL, 32)
        torch.testing.assert_close(alone, together[index::8], atol=2e-6, rtol=0)


def test_views_are_the_same_bits_each_time_under_deterministic_algorithms() -> None:
    images = photographs(8, 96)
    parameters = draw(images)
    first = augment_kornia.augment_batch(images, parameters, TUTORIAL, 96)
    torch.use_deterministic_algorithms(True)
    try:
        again = augment_kornia.augment_batch(images, parameters, TUTORIAL, 96)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, again)


def test_how_images_lie_in_memory_and_autocast_change_no_bit() -> None:
    images = photographs(8, 96)
    parameters = draw(images)
    first = augment_kornia.augment_batch(images, parameters, TUTORIAL, 96)
    by_columns = images.mT.contiguous().mT
    by_pixels = images.contiguous(memory_format=torch.channels_last)
    for same in (by_columns, by_pixels):
        assert torch.equal(augment_kornia.augment_batch(same, parameters, TUTORIAL, 96), first)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augment_kornia.augment_batch(images, parameters, TUTORIAL, 96), first)


def test_images_stay_as_they_were_and_views_need_no_gradient() -> None:
    images = photographs(4, 32)
    before = images.clone()
    views = augment_kornia.augment_batch(images, draw(images), TUTORIAL, 32)
    assert torch.equal(images, before)
    assert not views.requires_grad
    assert not views.is_inference()


@pytest.mark.parametrize("size", [96, 64])
def test_the_host_reads_nothing_from_the_device(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A meta device has shapes and no values: to wait for one would be an error."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    images = photographs(8, 96)
    recipe = dataclasses.replace(TUTORIAL, blur_probability=0.5)
    views = augment_kornia.augment_batch(images.to("meta"), draw(images, recipe), recipe, size)
    assert views.device.type == "meta"
    assert views.shape == (16, 3, size, size)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("height", "size"), [(96, 96), (96, 64)])
def test_cuda_gives_the_cpus_views_without_waiting_for_the_device(height: int, size: int) -> None:
    images = photographs(16, height)
    parameters = draw(images)
    expected = augment_kornia.augment_batch(images, parameters, TUTORIAL, size)
    on_device = images.cuda()
    torch.use_deterministic_algorithms(True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        first, again = (augment_kornia.augment_batch(on_device, parameters, TUTORIAL, size) for _ in range(2))
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(False)
    assert torch.equal(first, again)
    torch.testing.assert_close(first.cpu(), expected, atol=2 * WHOLE, rtol=0)
