"""The views by Kornia: a batch at a time, on the device where the images are.

Kornia's own transforms draw one order of the colour operations for a whole batch and crop with align_corners=True;
here its functional operations get parameters that were drawn for each view. Where one of them differs from
torchvision's definition, the definition wins: Kornia weighs red by 0.299 instead of 0.2989 inside contrast and
saturation, so these two blend with the gray of `LUMA_WEIGHTS`, and a crop that shrinks is antialiased.

Which views an operation touches is known on the CPU, so the host never waits for the device; what is copied to it is
small and asynchronous. No step needs atomics: gathers, and scatters by unique indices.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from kornia.color import rgb_to_grayscale
from kornia.enhance import adjust_brightness_accumulative, adjust_hue
from kornia.filters import gaussian_blur2d
from kornia.geometry.transform import remap
from torch import Tensor

from trainer.augment import LUMA_WEIGHTS, AugmentRecipe, ViewParameters, normalise_, to_unit

_LUMA_3 = torch.tensor(LUMA_WEIGHTS)


def augment_batch(images_u8_BCHW: Tensor, parameters: ViewParameters, recipe: AugmentRecipe, out_size: int) -> Tensor:
    """All views of a batch in one call.

    Args:
        images_u8_BCHW: uint8 (B, 3, H, W), on any device.
        parameters: V·B views, all first views before all second ones, for images of H × W pixels.
        recipe: the recipe that the parameters were drawn from.
        out_size: side of the views in pixels.

    Returns:
        float32 (V·B, 3, out_size, out_size) on the images' device, normalised, in the parameters' order.
    """
    with torch.no_grad(), torch.autocast(images_u8_BCHW.device.type, enabled=False):
        views = _crop_and_flip(to_unit(images_u8_BCHW), parameters, out_size)
        views = _jitter_(views, parameters, recipe)
        views = _where(parameters.grayscale, views, lambda some, _: _gray(some).repeat(1, 3, 1, 1))
        views = _where(parameters.blur, views, lambda some, which: _blur(some, parameters.sigma[which], recipe))
        return normalise_(views, recipe.normalisation)


def _to(values: Tensor, device: torch.device) -> Tensor:
    """A small CPU tensor on the device; CUDA stages pageable memory before the call returns, so nobody waits."""
    return values.to(device, non_blocking=True)


def _where(mask_M: Tensor, views_MCHW: Tensor, operation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The views with an operation applied to those of a CPU mask; it gets these views and their indices."""
    which = mask_M.nonzero().squeeze(1)
    if len(which) == 0:
        return views_MCHW
    if len(which) == len(views_MCHW):
        return operation(views_MCHW, which)
    index = _to(which, views_MCHW.device)
    return views_MCHW.index_copy_(0, index, operation(views_MCHW.index_select(0, index), which))


class _Axis(NamedTuple):
    """The rows or the columns of M crops, in pixels."""

    start: Tensor
    """(M, 1), first pixel of the box."""
    length: Tensor
    """(M, 1), pixels of the box."""
    centre: Tensor
    """(M, S), where the centres of the new pixels lie, from the box's edge."""


def _crop_and_flip(images_BCHW: Tensor, parameters: ViewParameters, size: int) -> Tensor:
    """The views' boxes, resized to size × size and mirrored where that was drawn; in [0, 1]."""
    views = images_BCHW.repeat(len(parameters) // len(images_BCHW), 1, 1, 1)
    numbers = [parameters.top, parameters.height, parameters.left, parameters.width, parameters.flip]
    top, height, left, width, flip = _to(torch.stack(numbers).float(), views.device)[:, :, None].unbind()
    place_S = torch.arange(size, device=views.device) + 0.5
    rows = _Axis(top, height, place_S * (height / size))
    columns = _Axis(left, width, torch.where(flip.bool(), size - place_S, place_S) * (width / size))
    if max(images_BCHW.shape[-2:]) <= size:
        return _interpolate(views, rows, columns)
    longest = int(max(parameters.height.max(), parameters.width.max()))
    taps = 2 * max(1, math.ceil(longest / size)) + 1
    return _resample(_resample(views, rows, taps).mT, columns, taps).mT.contiguous()


def _interpolate(views_MCHW: Tensor, rows: _Axis, columns: _Axis) -> Tensor:
    """Boxes enlarged by bilinear interpolation, in which an antialiasing filter would do nothing."""
    size = rows.centre.shape[1]
    maps = []
    for axis, pixels in ((columns, views_MCHW.shape[3]), (rows, views_MCHW.shape[2])):
        # A box is resized as if it were the whole image: its border is repeated, not what lies beyond it.
        inside_MS = torch.minimum((axis.centre - 0.5).clamp(min=0), axis.length - 1)
        maps.append((2 * (axis.start + inside_MS) + 1) / pixels - 1)
    enlarged: Tensor = remap(
        views_MCHW,
        maps[0][:, None, :].expand(-1, size, size),
        maps[1][:, :, None].expand(-1, size, size),
        padding_mode="border",
        align_corners=False,
        normalized_coordinates=True,
    )
    return enlarged


def _resample(views_MCHW: Tensor, rows: _Axis, taps: int) -> Tensor:
    """Boxes resized along their rows with PyTorch's antialiasing, a triangle as wide as a new pixel.

    Args:
        views_MCHW: float32 (M, C, H, W).
        rows: the boxes.
        taps: how many old rows can have a part in a new one.

    Returns:
        float32 (M, C, S, W).
    """
    length_M11, centre_MS1 = rows.length[:, :, None], rows.centre[:, :, None]
    support_M11 = (length_M11 / rows.centre.shape[1]).clamp(min=1)
    first_MS1 = (centre_MS1 - support_M11 + 0.5).floor().clamp(min=0)
    place_MST = first_MS1 + torch.arange(taps, device=views_MCHW.device)
    weight_MST = (1 - (place_MST + 0.5 - centre_MS1).abs() / support_M11).clamp(min=0) * (place_MST < length_M11)
    weight_MST = weight_MST / weight_MST.sum(dim=2, keepdim=True)
    row_MST = (rows.start[:, :, None] + torch.minimum(place_MST, length_M11 - 1)).long()
    resized = torch.zeros((), device=views_MCHW.device)
    for row_MS, weight_MS in zip(row_MST.unbind(2), weight_MST.unbind(2), strict=True):
        index = row_MS[:, None, :, None].expand(-1, views_MCHW.shape[1], -1, views_MCHW.shape[3])
        resized = resized + views_MCHW.gather(2, index) * weight_MS[:, None, :, None]
    return resized


def _jitter_(views_MCHW: Tensor, parameters: ViewParameters, recipe: AugmentRecipe) -> Tensor:
    """The colour operations, in place, each view's in its own order."""
    steps = []
    for order_M in parameters.order.unbind(1):
        for operation, strength in enumerate(recipe.strengths):
            which = (parameters.jitter & (order_M == operation)).nonzero().squeeze(1)
            if strength and len(which):
                steps.append((operation, which))
    if not steps:
        return views_MCHW
    sizes = [len(which) for _, which in steps]
    indices = _to(torch.cat([which for _, which in steps]), views_MCHW.device)
    factors = _to(torch.cat([parameters.factors[operation][which] for operation, which in steps]), views_MCHW.device)
    groups = zip(torch.split(indices, sizes), torch.split(factors[:, None, None, None], sizes), strict=True)
    for (operation, _), (index, factor) in zip(steps, groups, strict=True):
        views_MCHW.index_copy_(0, index, _JITTER[operation](views_MCHW.index_select(0, index), factor))
    return views_MCHW


def _gray(views_MCHW: Tensor) -> Tensor:
    gray: Tensor = rgb_to_grayscale(views_MCHW, _LUMA_3)
    return gray


def _blend(views_MCHW: Tensor, other: Tensor, factor_M111: Tensor) -> Tensor:
    return (views_MCHW * factor_M111).add_(other * (1 - factor_M111)).clamp_(0, 1)


def _contrast(views_MCHW: Tensor, factor_M111: Tensor) -> Tensor:
    return _blend(views_MCHW, _gray(views_MCHW).mean(dim=(2, 3), keepdim=True), factor_M111)


def _saturation(views_MCHW: Tensor, factor_M111: Tensor) -> Tensor:
    return _blend(views_MCHW, _gray(views_MCHW), factor_M111)


def _hue(views_MCHW: Tensor, turns_M111: Tensor) -> Tensor:
    shifted: Tensor = adjust_hue(views_MCHW, turns_M111 * (2 * math.pi))
    return shifted.clamp_(0, 1)


_JITTER: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    adjust_brightness_accumulative,
    _contrast,
    _saturation,
    _hue,
)


def _blur(views_MCHW: Tensor, sigma_M: Tensor, recipe: AugmentRecipe) -> Tensor:
    """A Gaussian blur of each view; sigma stays on the CPU, where Kornia can look at it without waiting."""
    blurred: Tensor = gaussian_blur2d(
        views_MCHW, recipe.blur_kernel_size, sigma_M[:, None].expand(-1, 2), border_type="reflect"
    )
    return blurred
