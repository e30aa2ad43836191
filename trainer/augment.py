"""The augmentation's one definition: which views an image gets, whoever computes them.

A view is made in the order of SimCLR's appendix A (Chen et al. 2020, arXiv 2002.05709), each step as torchvision
defines it:

    crop         a random box, resized to the network's size (bilinear, align_corners=False, antialiased)
    flip         horizontally, with flip_probability
    jitter       with jitter_probability: brightness, contrast, saturation and hue in an order drawn for the view,
                 clamped to [0, 1] after each
    grayscale    with grayscale_probability
    blur         Gaussian with a sigma drawn for the view, with blur_probability
    normalise    by the recipe's mean and standard deviation, last

`draw_parameters` turns uniforms into the numbers of these steps; `augment_kornia` and `augment_torchvision` carry
them out. Shape suffixes: B images, V views of each, M = V·B views with all first views before all second ones,
K uniforms of a view, C H W an image.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.errors import ConfigError

NORMALISATIONS = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation of red, green and blue by name: the tutorial's, SupContrast's for CIFAR-10 (main_supcon.py;
the deviations are means of each image's own, as is usual there), and torchvision's for ImageNet."""

LUMA_WEIGHTS = (0.2989, 0.587, 0.114)
"""Red, green and blue in torchvision's gray, which contrast, saturation and grayscale share."""

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
"""The jitter's operations, by the numbers that `ViewParameters.order` holds."""

CROP_ATTEMPTS = 10
"""Boxes that are tried before the central one is taken."""

# Columns of a view's uniforms: an area and a ratio for each attempt, then one number for each other draw.
_AREAS = slice(0, CROP_ATTEMPTS)
_RATIOS = slice(CROP_ATTEMPTS, 2 * CROP_ATTEMPTS)
_ORDER = slice(2 * CROP_ATTEMPTS, 2 * CROP_ATTEMPTS + 4)
_FACTORS = slice(_ORDER.stop, _ORDER.stop + 4)
_TOP, _LEFT, _FLIP, _JITTER, _GRAYSCALE, _BLUR, _SIGMA = range(_FACTORS.stop, _FACTORS.stop + 7)

UNIFORMS_PER_VIEW = _SIGMA + 1
"""Numbers in [0, 1) from which one view is drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentRecipe:
    """How strong each step is; both implementations read the same one."""

    scale: tuple[float, float]
    """Smallest and largest crop as a part of the image's area."""
    ratio: tuple[float, float]
    """Narrowest and widest crop, width / height."""
    flip_probability: float
    jitter_probability: float
    strengths: tuple[float, float, float, float]
    """Spread of the factors of brightness, contrast and saturation around 1, and of the hue's shift around 0 in
    turns of the colour circle; 0 leaves the operation out."""
    grayscale_probability: float
    blur_probability: float
    blur_kernel_size: int
    """Width of the blur's kernel in pixels, odd."""
    sigma: tuple[float, float]
    """Smallest and largest sigma of the blur in pixels."""
    normalisation: str
    """One of NORMALISATIONS."""

    @classmethod
    def from_config(cls, config: PretrainConfig) -> Self:
        """The recipe that a run's settings describe.

        Raises:
            ConfigError: the blur's kernel is too wide to be reflected at the border of images of that size.
        """
        kernel, widest = config.blur_kernel_size, 2 * config.image_size - 1
        if kernel > widest:
            reason = f"{kernel} is too wide for images of {config.image_size} pixels; give at most {widest}"
            raise ConfigError("blur_kernel", reason)
        return cls(
            scale=(config.crop_scale_min, config.crop_scale_max),
            ratio=(1 / config.crop_ratio_max, config.crop_ratio_max),
            flip_probability=config.flip_probability,
            jitter_probability=config.jitter_probability,
            strengths=(
                config.jitter_brightness,
                config.jitter_contrast,
                config.jitter_saturation,
                config.jitter_hue,
            ),
            grayscale_probability=config.grayscale_probability,
            blur_probability=config.blur_probability,
            blur_kernel_size=kernel,
            sigma=(config.blur_sigma_min, config.blur_sigma_max),
            normalisation=config.normalisation,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ViewParameters:
    """What M views were drawn: entry m of each tensor, all on the CPU, belongs to view m."""

    top: Tensor
    """int64 (M,), first row of the crop in pixels."""
    left: Tensor
    """int64 (M,), first column of the crop in pixels."""
    height: Tensor
    """int64 (M,), rows of the crop in pixels."""
    width: Tensor
    """int64 (M,), columns of the crop in pixels."""
    flip: Tensor
    """bool (M,), whether the crop is mirrored."""
    jitter: Tensor
    """bool (M,), whether the colours are jittered."""
    order: Tensor
    """int64 (M, 4), the jitter's operations from first to last."""
    brightness: Tensor
    """float32 (M,), factor."""
    contrast: Tensor
    """float32 (M,), factor."""
    saturation: Tensor
    """float32 (M,), factor."""
    hue: Tensor
    """float32 (M,), shift in turns of the colour circle."""
    grayscale: Tensor
    """bool (M,), whether the colours are taken away."""
    blur: Tensor
    """bool (M,), whether the view is blurred."""
    sigma: Tensor
    """float32 (M,), sigma of the blur in pixels."""

    def __len__(self) -> int:
        """M, the number of views."""
        return len(self.top)

    @property
    def factors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What each of the jitter's operations takes, by the operation's number."""
        return self.brightness, self.contrast, self.saturation, self.hue


def draw_parameters(uniforms_MK: Tensor, recipe: AugmentRecipe, height: int, width: int) -> ViewParameters:
    """The parameters of M views; a pure function of their uniforms, in which no view depends on another.

    Args:
        uniforms_MK: float32 (M, UNIFORMS_PER_VIEW) in [0, 1), on the CPU.
        recipe: the ranges and probabilities.
        height: rows of the images that are cropped, in pixels.
        width: columns of the images that are cropped, in pixels.
    """
    top, left, crop_height, crop_width = _draw_crops(uniforms_MK.double(), recipe, height, width)
    factors = [
        _between(uniforms_M, *_factor_range(operation, strength))
        for operation, (uniforms_M, strength) in enumerate(
            zip(uniforms_MK[:, _FACTORS].unbind(1), recipe.strengths, strict=True)
        )
    ]
    return ViewParameters(
        top=top,
        left=left,
        height=crop_height,
        width=crop_width,
        flip=uniforms_MK[:, _FLIP] < recipe.flip_probability,
        jitter=uniforms_MK[:, _JITTER] < recipe.jitter_probability,
        order=uniforms_MK[:, _ORDER].argsort(dim=1, stable=True),
        brightness=factors[BRIGHTNESS],
        contrast=factors[CONTRAST],
        saturation=factors[SATURATION],
        hue=factors[HUE],
        grayscale=uniforms_MK[:, _GRAYSCALE] < recipe.grayscale_probability,
        blur=uniforms_MK[:, _BLUR] < recipe.blur_probability,
        sigma=_between(uniforms_MK[:, _SIGMA], *recipe.sigma),
    )


def view_major(values_BVK: Tensor) -> Tensor:
    """Rows of all first views, then all second ones and so on: (B, V, K) as (V·B, K)."""
    return values_BVK.transpose(0, 1).flatten(0, 1)


def to_unit(images_u8: Tensor) -> Tensor:
    """Pixels 0 … 255 as float32 in [0, 1], of the same shape; a new tensor."""
    return images_u8.to(torch.float32).div_(255)


def normalise_(images: Tensor, name: str) -> Tensor:
    """The last step, in place: [0, 1] less the mean, by the deviation.

    Args:
        images: float, (…, 3, H, W).
        name: one of NORMALISATIONS.
    """
    mean, deviation = NORMALISATIONS[name]
    if name == "half":  # numbers instead of tensors: nothing to copy to a device
        return images.sub_(mean[0]).div_(deviation[0])
    mean_311, deviation_311 = torch.tensor([mean, deviation])[:, :, None, None].to(images.device, non_blocking=True)
    return images.sub_(mean_311).div_(deviation_311)


def normalise(images_u8: Tensor, name: str) -> Tensor:
    """Images as evaluation sees them, without augmentation: uint8 (…, 3, H, W) to float32."""
    return normalise_(to_unit(images_u8), name)


def _between(uniforms_M: Tensor, low: float, high: float) -> Tensor:
    return uniforms_M * (high - low) + low


def _factor_range(operation: int, strength: float) -> tuple[float, float]:
    """The bounds of torchvision's ColorJitter."""
    return (-strength, strength) if operation == HUE else (max(0.0, 1 - strength), 1 + strength)


def _draw_crops(
    uniforms_MK: Tensor, recipe: AugmentRecipe, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width of each crop: RandomResizedCrop.make_params of torchvision, for M views at once."""
    areas = height * width * _between(uniforms_MK[:, _AREAS], *recipe.scale)
    ratios = _between(uniforms_MK[:, _RATIOS], *map(math.log, recipe.ratio)).exp()
    widths = (areas * ratios).sqrt().round().long()
    heights = (areas / ratios).sqrt().round().long()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    drawn, (central_height, central_width) = fits.any(dim=1), _central_crop(recipe, height, width)
    crop_height = torch.where(drawn, heights.gather(1, first).squeeze(1), central_height)
    crop_width = torch.where(drawn, widths.gather(1, first).squeeze(1), central_width)
    top = torch.where(drawn, _offset(uniforms_MK[:, _TOP], height - crop_height), (height - crop_height) // 2)
    left = torch.where(drawn, _offset(uniforms_MK[:, _LEFT], width - crop_width), (width - crop_width) // 2)
    return top, left, crop_height, crop_width


def _offset(uniforms_M: Tensor, largest_M: Tensor) -> Tensor:
    """A whole number from 0 to the largest, both included."""
    return (uniforms_M * (largest_M + 1)).long()


def _central_crop(recipe: AugmentRecipe, height: int, width: int) -> tuple[int, int]:
    """Height and width of the crop that is taken where no attempt fitted."""
    narrowest, widest = recipe.ratio
    if width / height < narrowest:
        return round(width / narrowest), width
    if width / height > widest:
        return height, round(height * widest)
    return height, width
