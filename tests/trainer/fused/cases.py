"""Images and parameters at their extremes, for every way to make views."""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.trainer.photographs import noise
from tests.trainer.recipes import NOTHING, TUTORIAL
from trainer.augment import (
    NORMALISATIONS,
    UNIFORMS_PER_VIEW,
    AugmentRecipe,
    ViewParameters,
    draw_parameters,
    view_major,
)
from trainer.randomness import uniforms


@dataclass
class Case:
    """A batch and what its views were drawn."""

    images: Tensor
    parameters: ViewParameters
    recipe: AugmentRecipe
    size: int

    def difference(self, views: Tensor, others: Tensor) -> float:
        """The largest one, where black is 0 and white is 1."""
        assert views.shape == others.shape == (len(self.parameters), 3, self.size, self.size)
        deviation = torch.tensor(NORMALISATIONS[self.recipe.normalisation][1])[:, None, None]
        return float(((views.float() - others.float()) * deviation).abs().max())


def extremes(height: int, width: int) -> Tensor:
    """uint8 (8, 3, H, W): noise, black, white, each channel alone, a checkerboard, one white pixel."""
    images = torch.zeros(8, 3, height, width, dtype=torch.uint8)
    images[0] = noise(4, max(height, width))[3, :, :height, :width]
    images[2] = 255
    for channel in range(3):
        images[3 + channel, channel] = 255
    places = torch.arange(height)[:, None] + torch.arange(width)
    images[6] = (places % 2 * 255).to(torch.uint8)
    images[7, :, height // 2, width // 2] = 255
    return images


def case(
    height: int = 12,
    width: int = 12,
    size: int = 12,
    views: int = 1,
    *,
    together: bool = False,
    forced: dict[str, Any] | None = None,
    **recipe: Any,
) -> Case:
    """The recipe is the tutorial's but for what is given; `forced` are numbers that all views are given."""
    images = extremes(height, width)
    chosen = dataclasses.replace(TUTORIAL, **{"blur_kernel_size": 3, **recipe})
    draws_BVK = uniforms(0, 1, len(images), views, UNIFORMS_PER_VIEW)
    draws_BVK = draws_BVK[:1].expand_as(draws_BVK) if together else draws_BVK
    parameters = draw_parameters(view_major(draws_BVK), chosen, height, width)
    values = {
        name: torch.as_tensor(value, dtype=getattr(parameters, name).dtype).expand_as(getattr(parameters, name))
        for name, value in (forced or {}).items()
    }
    return Case(images, dataclasses.replace(parameters, **values), chosen, size)


STRONG: dict[str, Any] = {"strengths": (1.0, 1.0, 1.0, 0.5), "jitter_probability": 1.0}
BLURRED: dict[str, Any] = {"blur_probability": 1.0}
_ALONE: dict[str, dict[str, Any]] = {
    "crop and flip": {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3), "flip_probability": 0.5},
    "brightness": STRONG | {"strengths": (1.0, 0.0, 0.0, 0.0)},
    "contrast": STRONG | {"strengths": (0.0, 1.0, 0.0, 0.0)},
    "saturation": STRONG | {"strengths": (0.0, 0.0, 1.0, 0.0)},
    "hue": STRONG | {"strengths": (0.0, 0.0, 0.0, 0.5)},
    "grayscale": {"grayscale_probability": 0.5},
    "blur": {"blur_probability": 0.5},
}
_NOTHING = {field.name: getattr(NOTHING, field.name) for field in dataclasses.fields(NOTHING)}
STAGES: dict[str, dict[str, Any]] = {name: _NOTHING | changes for name, changes in _ALONE.items()}
WHOLE: dict[str, dict[str, Any]] = {
    "the tutorial's": {},
    "strong, three views, not square, odd": {"height": 13, "width": 21, "size": 11, "views": 3, **STRONG},
    "enlarged": {"height": 7, "width": 5, "size": 16, "views": 2, **STRONG},
    "shrunk to a third": {"height": 33, "width": 30, "size": 11, "scale": (0.5, 1.0)},
    "crops of one pixel": {"scale": (1e-4, 8e-3), **STRONG},
    "the largest crops": {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "flip_probability": 1.0},
    "the same for all images": {"together": True, "views": 2, **STRONG},
    "nothing": {**STAGES["blur"], "blur_probability": 0.0},
    "everything": {**STRONG, "grayscale_probability": 1.0, "blur_probability": 1.0, "flip_probability": 1.0},
    "hue by half a turn": {**STRONG, "forced": {"hue": 0.5}},
    "hue by half a turn back": {**STRONG, "forced": {"hue": -0.5}},
    "no contrast": {**STRONG, "forced": {"contrast": 0.0}},
    "double contrast": {**STRONG, "forced": {"contrast": 2.0, "brightness": 2.0, "saturation": 2.0}},
    "black by brightness": {**STRONG, "forced": {"brightness": 0.0}},
    "sharp": {**BLURRED, "sigma": (0.01, 0.01), "blur_kernel_size": 9},
    "dim, the widest kernel": {**BLURRED, "sigma": (20.0, 20.0), "blur_kernel_size": 23},
    "a kernel of one": {**BLURRED, "blur_kernel_size": 1},
    "cifar10": {"normalisation": "cifar10"},
    "imagenet": {"normalisation": "imagenet", "views": 2},
}


def some_of(chosen: Case, images: list[int]) -> Case:
    """The case of a few of its images; the interpreter is slow."""
    which_M = torch.arange(len(chosen.parameters)).view(-1, len(chosen.images))[:, images].flatten()
    values = {
        field.name: getattr(chosen.parameters, field.name)[which_M] for field in dataclasses.fields(ViewParameters)
    }
    return dataclasses.replace(chosen, images=chosen.images[images], parameters=ViewParameters(**values))


def orders(size: int = 6) -> Case:
    """Every order of the colour operations for each image."""
    found = case(size, size, size, 24, **STRONG)
    order = torch.tensor(list(itertools.permutations(range(4)))).repeat_interleave(len(found.images), dim=0)
    return dataclasses.replace(found, parameters=dataclasses.replace(found.parameters, order=order))


def every_case() -> dict[str, Case]:
    """All by name."""
    cases = {name: case(**settings) for name, settings in {**STAGES, **WHOLE}.items()}
    return cases | {"every order": orders()}


def interpreted_cases(*, every: bool) -> dict[str, Case]:
    """Those that the kernels are tried with: all, or a few of a few images."""
    cases = every_case() | {"every order": orders(3)}
    if every:
        return cases
    few = {"the tutorial's": [0, 6], "shrunk to a third": [0], "everything": [0, 3], "double contrast": [0]}
    return {name: some_of(cases[name], images) for name, images in few.items()}
