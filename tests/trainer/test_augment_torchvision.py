"""torchvision's views: the steps in their order, and the same bits wherever an image is worked on."""

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import functional as PillowF
from torchvision.transforms.functional import to_pil_image

from tests.trainer.photographs import noise, photographs
from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer.augment import (
    UNIFORMS_PER_VIEW,
    AugmentRecipe,
    ViewParameters,
    draw_parameters,
    normalise,
    view_major,
)
from trainer.augment_torchvision import augment_batch, augment_image
from trainer.randomness import uniforms


@pytest.fixture(autouse=True)
def keep_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def draw(images: Tensor, recipe: AugmentRecipe = TUTORIAL, views: int = 2) -> ViewParameters:
    draws = view_major(uniforms(0, 1, len(images), views, UNIFORMS_PER_VIEW))
    return draw_parameters(draws, recipe, *images.shape[-2:])


def by_pillow(image: Image.Image, parameters: ViewParameters, row: int, size: int) -> Tensor:
    """The same view by torchvision's first API on 8-bit pictures, as the tutorial makes it."""
    top, left, height, width = (
        int(side[row]) for side in (parameters.top, parameters.left, parameters.height, parameters.width)
    )
    image = PillowF.resized_crop(image, top, left, height, width, [size, size])
    if parameters.flip[row]:
        image = PillowF.hflip(image)
    if parameters.jitter[row]:
        steps = (
            PillowF.adjust_brightness,
            PillowF.adjust_contrast,
            PillowF.adjust_saturation,
            PillowF.adjust_hue,
        )
        for operation in parameters.order[row].tolist():
            image = steps[operation](image, float(parameters.factors[operation][row]))
    if parameters.grayscale[row]:
        image = PillowF.to_grayscale(image, num_output_channels=3)
    if parameters.blur[row]:
        image = PillowF.gaussian_blur(image, [9, 9], [float(parameters.sigma[row])] * 2)
    view: Tensor = transforms.Normalize([0.5] * 3, [0.5] * 3)(transforms.ToTensor()(image))
    return view


def test_views_are_the_tutorials_but_for_the_rounding_of_its_8_bit_pictures() -> None:
    images = photographs(12, 96)
    parameters = draw(images)
    found = augment_batch(images, parameters, TUTORIAL, 96)
    expected = torch.stack([by_pillow(to_pil_image(images[row % 12]), parameters, row, 96) for row in range(24)])
    errors = (found - expected).abs().mean(dim=(1, 2, 3)) * 255 / 2
    assert float(errors.max()) < 3
    assert float(errors.median()) < 1.5
    in_another_order = dataclasses.replace(parameters, order=parameters.order.flip(1))
    changed = (augment_batch(images, in_another_order, TUTORIAL, 96) - expected).abs().mean(dim=(1, 2, 3)) * 255 / 2
    assert float(changed.max()) > 10


def test_without_any_step_the_view_is_the_normalised_image() -> None:
    images = noise(4, 32)
    assert torch.equal(augment_batch(images, draw(images, NOTHING, 1), NOTHING, 32), normalise(images, "half"))


def test_views_have_the_size_and_the_type_of_the_networks_input() -> None:
    images = photographs(3, 40, 56)
    before = images.clone()
    views = augment_batch(images, draw(images, views=3), TUTORIAL, 32)
    assert views.shape == (9, 3, 32, 32)
    assert views.dtype == torch.float32
    assert views.is_contiguous()
    assert -1 <= float(views.min()) < -0.5
    assert 0.5 < float(views.max()) <= 1 + 1e-6
    assert torch.equal(images, before)


def test_an_operation_of_no_strength_changes_no_bit() -> None:
    recipe = dataclasses.replace(NOTHING, jitter_probability=1.0, strengths=(0.0, 0.0, 0.0, 0.0))
    images = noise(4, 32)
    assert torch.equal(augment_batch(images, draw(images, recipe, 1), recipe, 32), normalise(images, "half"))


@pytest.mark.parametrize("size", [32, 96, 224, 320])
def test_the_number_of_threads_changes_no_bit(size: int) -> None:
    images = photographs(3, size)
    parameters = draw(images)
    views = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        views.append(augment_batch(images, parameters, TUTORIAL, size))
        assert torch.get_num_threads() == threads
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2])


def test_the_number_of_threads_is_restored_after_an_error() -> None:
    torch.set_num_threads(2)
    images = photographs(1, 32)
    with pytest.raises(IndexError):
        augment_image(images[0], draw(images), 2, TUTORIAL, 32)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("size", [32, 96])
def test_the_batch_in_which_an_image_comes_changes_no_bit(size: int) -> None:
    images = photographs(9, size)
    draws = uniforms(0, 1, 9, 2, UNIFORMS_PER_VIEW)
    together = augment_batch(images, draw(images), TUTORIAL, size)
    for index in range(9):
        own = draw_parameters(draws[index], TUTORIAL, size, size)
        for view in (0, 1):
            alone = augment_image(images[index], own, view, TUTORIAL, size)
            assert torch.equal(alone, together[9 * view + index])


@pytest.mark.parametrize("recipe", [TUTORIAL, dataclasses.replace(TUTORIAL, scale=(1.0, 1.0), ratio=(1.0, 1.0))])
def test_how_an_image_lies_in_memory_changes_no_bit(recipe: AugmentRecipe) -> None:
    images = photographs(6, 97)
    parameters = draw(images, recipe)
    by_columns = images.mT.contiguous().mT
    by_pixels = images.contiguous(memory_format=torch.channels_last)
    views = [augment_batch(one, parameters, recipe, 97) for one in (images, by_columns, by_pixels)]
    assert torch.equal(views[0], views[1])
    assert torch.equal(views[0], views[2])
