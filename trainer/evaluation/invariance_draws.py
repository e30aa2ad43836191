"""Views under one augmentation alone, and the numbers that were drawn for them.

Each augmentation has the strength of the run's own recipe and is applied to every view, where it otherwise has a
probability. What the recipe leaves as it is takes the strength of SimCLR (Chen et al. 2020, arXiv 2002.05709,
appendix A: crops from 0.08 of the area, colour strength 1, sigma 0.1 to 2), or there would be nothing to ask.

Shapes: B images, V views of each, M = V·B views with all first views before all second ones, K uniforms of a view,
T numbers to predict of a view, C H W an image.
"""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, ViewParameters, draw_parameters, view_major
from trainer.augment_kornia import augment_batch

CATEGORIES = {"flip": 2, "grayscale": 2, "rotation": 4}
"""Augmentations that are drawn from so many cases, all equally likely; of the others a number is drawn."""

POINTS = frozenset({"hue"})
"""Augmentations whose numbers are the coordinates of one point, in one unit, and are judged together."""

JITTER = ("brightness", "contrast", "saturation", "hue")
"""The operations in the order of `AugmentRecipe.strengths`."""

UNIFORMS = UNIFORMS_PER_VIEW + 1
"""Numbers from which a view is drawn; the last one turns it."""

SIMCLR_SCALE, SIMCLR_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
SIMCLR_STRENGTHS = (0.8, 0.8, 0.8, 0.2)
SIMCLR_SIGMA = (0.1, 2.0)


def alone(name: str, recipe: AugmentRecipe) -> AugmentRecipe:
    """The recipe that does nothing but one augmentation, and that to every view (flip and grayscale: to half)."""
    changes: dict[str, Any] = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "strengths": (0.0, 0.0, 0.0, 0.0)}
    changes |= dict.fromkeys(
        ("flip_probability", "jitter_probability", "grayscale_probability", "blur_probability"), 0.0
    )
    own = has_strength(name, recipe)
    if name == "crop":
        scale, ratio = (recipe.scale, recipe.ratio) if own else (SIMCLR_SCALE, SIMCLR_RATIO)
        changes |= {"scale": scale, "ratio": ratio}
    elif name in JITTER:
        strengths = recipe.strengths if own else SIMCLR_STRENGTHS
        one = tuple(strengths[number] if other == name else 0.0 for number, other in enumerate(JITTER))
        changes |= {"jitter_probability": 1.0, "strengths": one}
    elif name == "blur":
        changes |= {"blur_probability": 1.0, "sigma": recipe.sigma if own else SIMCLR_SIGMA}
        changes |= {"blur_kernel_size": max(3, recipe.blur_kernel_size)}
    elif name in ("flip", "grayscale"):
        changes |= {f"{name}_probability": 0.5}
    return dataclasses.replace(recipe, **changes)


def has_strength(name: str, recipe: AugmentRecipe) -> bool:
    """Whether the recipe says how strong an augmentation is; where not, `alone` takes SimCLR's strength.

    A strength that is never used, because the probability is 0, says nothing of the run: it is a setting's default.
    """
    if name == "crop":
        return recipe.scale[0] < 1
    if name in JITTER:
        return recipe.jitter_probability > 0 and recipe.strengths[JITTER.index(name)] > 0
    if name == "blur":
        return recipe.blur_probability > 0 and recipe.sigma[0] < recipe.sigma[1] and recipe.blur_kernel_size > 1
    return True


def is_trained_with(name: str, recipe: AugmentRecipe) -> bool:
    """Whether a run with this recipe saw the augmentation at all."""
    if name == "flip":
        return recipe.flip_probability > 0
    if name == "grayscale":
        return recipe.grayscale_probability > 0
    return name != "rotation" and has_strength(name, recipe)


def views_of(name: str, images_u8_BCHW: Tensor, uniforms_BVK: Tensor, recipe: AugmentRecipe) -> tuple[Tensor, Tensor]:
    """The views of a batch under one augmentation, and what was drawn for them.

    Args:
        name: one of `names.AUGMENTATIONS`.
        images_u8_BCHW: uint8 (B, 3, S, S), on any device.
        uniforms_BVK: float32 (B, V, UNIFORMS) in [0, 1), on the CPU; each view is a function of its own.
        recipe: what `alone` gave.

    Returns:
        Normalised views, float32 (V·B, 3, S, S) on the images' device, and their targets, float32 (V·B, T) on the
        CPU: the log of the crop's part of the area and its centre (0 to 1), the factor of a colour operation, the
        sine and the cosine of the hue's shift, the sigma of the blur in pixels, or the number of the case that was
        drawn (mirrored, gray, quarter turns).
    """
    height, width = images_u8_BCHW.shape[-2:]
    uniforms_MK = view_major(uniforms_BVK)
    parameters = draw_parameters(uniforms_MK[:, :UNIFORMS_PER_VIEW], recipe, height, width)
    if name != "rotation":
        views = augment_batch(images_u8_BCHW, parameters, recipe, width)
        return views, _targets(name, parameters, height, width)
    turns_M = (uniforms_MK[:, -1] * CATEGORIES[name]).long()
    turned = _turn(images_u8_BCHW.repeat(uniforms_BVK.shape[1], 1, 1, 1), turns_M)
    return augment_batch(turned, parameters, recipe, width), turns_M[:, None].float()


def _targets(name: str, parameters: ViewParameters, height: int, width: int) -> Tensor:
    if name == "crop":
        columns = (
            (parameters.height * parameters.width).float().log() - math.log(height * width),
            (parameters.left + parameters.width / 2) / width,
            (parameters.top + parameters.height / 2) / height,
        )
        return torch.stack(columns, dim=1)
    if name == "hue":
        # Half a turn either way is the same colour, so the shift is a point of the circle and not of a line.
        angle_M = 2 * math.pi * parameters.hue.float()
        return torch.stack((angle_M.sin(), angle_M.cos()), dim=1)
    values_M: Tensor = parameters.sigma if name == "blur" else getattr(parameters, name)
    return values_M[:, None].float()


def _turn(images_MCHW: Tensor, turns_M: Tensor) -> Tensor:
    """Square images turned anticlockwise by so many quarters each."""
    for quarters in range(1, CATEGORIES["rotation"]):
        which = (turns_M == quarters).nonzero().squeeze(1).to(images_MCHW.device, non_blocking=True)
        images_MCHW.index_copy_(0, which, images_MCHW.index_select(0, which).rot90(quarters, dims=(2, 3)))
    return images_MCHW
