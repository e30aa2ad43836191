"""The passes on a CPU: views that need the same work lie side by side, and pieces of them stay in the cache.

Views are sorted by the order of their colour operations, so that a piece of them has one chain, done in place and
without masks. Small views are cropped and blurred by matrix products, large ones by PyTorch's resize and convolution,
whichever is faster there. Every tensor is float32. Shape suffixes as in `plain`.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.augment import BRIGHTNESS, CONTRAST, HUE, LUMA_WEIGHTS, SATURATION, AugmentRecipe, normalise_
from trainer.fused import plain, table

SMALL = 48
"""Side in pixels up to which matrix products are faster."""

_PIECE = 2**16
"""Pixels of the views that go through their colour operations together."""

_CHAINS, _FEW = 24, 2**13
"""Orders that four operations can have, and pixels below which a call costs more than its work."""


def fused_views(
    images_u8_NCHW: Tensor,
    table_NVK: Tensor,
    indices_B: Tensor,
    recipe: AugmentRecipe,
    out_size: int,
    dtype: torch.dtype = torch.float32,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """All views of a batch; arguments and result as in `plain.fused_views`.

    Args:
        images_u8_NCHW: uint8, on the CPU.
        table_NVK: float32.
        indices_B: int64.
        recipe: that the parameters were drawn from.
        out_size: side of the views in pixels.
        dtype: of the result.
        memory_format: of the result.
    """
    rows_MK = table_NVK[indices_B].transpose(0, 1).flatten(0, 1)
    place_4 = torch.tensor([125.0, 25.0, 5.0, 1.0])
    chain_M = (rows_MK[:, table.OPERATIONS : table.OPERATIONS + 4] * place_4).sum(dim=1)
    chain_M, sorted_M = chain_M.sort(stable=True)
    rows_MK = rows_MK[sorted_M]
    images_M = indices_B.repeat(table_NVK.shape[1])[sorted_M]
    crop = _crop_by_products if max(*images_u8_NCHW.shape[2:], out_size) <= SMALL else _crop_one_by_one
    views = crop(images_u8_NCHW, images_M, rows_MK, out_size)
    views = _jitter_(views, rows_MK, chain_M)
    views = _where(rows_MK[:, table.GRAYSCALE] != 0, views, lambda some, _: _gray(some).expand(-1, 3, -1, -1))
    blur = _blur_by_products if out_size <= SMALL else _blur_by_convolution
    taps = recipe.blur_kernel_size
    views = _where(rows_MK[:, table.SIGMA] > 0, views, lambda some, i: blur(some, plain.blur_weights(rows_MK[i], taps)))
    result = torch.empty(views.shape, dtype=dtype, memory_format=memory_format)
    result[sorted_M] = normalise_(views, recipe.normalisation).to(dtype)
    return result


def _where(mask_M: Tensor, views_MCHW: Tensor, operation: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The views with an operation applied to those of a mask; it gets these views and their indices."""
    which = mask_M.nonzero().squeeze(1)
    if len(which) == 0:
        return views_MCHW
    if len(which) == len(views_MCHW):
        return operation(views_MCHW, which).contiguous()
    return views_MCHW.index_copy_(0, which, operation(views_MCHW[which], which))


def _crop_one_by_one(images_u8_NCHW: Tensor, images_M: Tensor, rows_MK: Tensor, size: int) -> Tensor:
    """The views' boxes, resized and mirrored, in [0, 1]."""
    views = torch.empty(len(rows_MK), images_u8_NCHW.shape[1], size, size)
    boxes = rows_MK[:, :5].long().tolist()
    for view, image, (top, left, height, width, flip) in zip(views, images_M.tolist(), boxes, strict=True):
        box = images_u8_NCHW[image, :, top : top + height, left : left + width]
        box = (box.flip(-1) if flip else box).float()
        shrinks = height > size or width > size
        view.copy_(
            F.interpolate(
                box[None].contiguous(), (size, size), mode="bilinear", align_corners=False, antialias=shrinks
            )[0]
        )
    return views.div_(255)


def _crop_by_products(images_u8_NCHW: Tensor, images_M: Tensor, rows_MK: Tensor, size: int) -> Tensor:
    """As `_crop_one_by_one`: a matrix from the left for the rows and one from the right for the columns."""
    top, left, height, width, flip = rows_MK[:, :5, None].unbind(1)
    place_S = torch.arange(size) + 0.5
    centre_x = torch.where(flip != 0, size - place_S, place_S) * (width / size)
    for_rows = _resizing(top, height, place_S * (height / size), images_u8_NCHW.shape[2])
    for_columns = _resizing(left, width, centre_x, images_u8_NCHW.shape[3])
    images = images_u8_NCHW[images_M].float()
    lines = torch.bmm(for_rows, images.transpose(1, 2).flatten(2)).unflatten(2, images.shape[1::2])
    views: Tensor = torch.bmm(lines.transpose(1, 2).flatten(1, 2), for_columns.mT).unflatten(1, (-1, size))
    return views.div_(255)


def _resizing(start_M1: Tensor, length_M1: Tensor, centre_MS: Tensor, pixels: int) -> Tensor:
    """(M, S, pixels): the part of each old pixel in each new one; see `plain._resample`."""
    support_M1 = (length_M1 / centre_MS.shape[1]).clamp(min=1)
    place_MP = torch.arange(pixels) - start_M1
    distance = ((place_MP + 0.5)[:, None, :] - centre_MS[:, :, None]).abs_().div_(support_M1[:, :, None])
    weights = distance.neg_().add_(1).clamp_(min=0)
    weights.mul_(((place_MP >= 0) & (place_MP < length_M1))[:, None, :])
    return weights.div_(weights.sum(dim=2, keepdim=True))


def _pieces(chain_M: Tensor, pixels: int) -> Iterator[tuple[list[int], slice]]:
    """Neighbours with the same chain, not too many at once: its operations and which views."""
    most = max(1, _PIECE // pixels)
    chains, counts = chain_M.unique_consecutive(return_counts=True)
    start = 0
    for chain, count in zip(chains.long().tolist(), counts.tolist(), strict=True):
        operations = [chain // place % 5 for place in (125, 25, 5, 1)]
        for first in range(start, start + count, most):
            yield operations, slice(first, min(first + most, start + count))
        start += count


def _jitter_(views_MCHW: Tensor, rows_MK: Tensor, chain_M: Tensor) -> Tensor:
    """The colour operations, in place: chain by chain, or step by step where a chain has too few pixels to pay."""
    pixels = views_MCHW[0, 0].numel()
    if len(views_MCHW) * pixels < _CHAINS * _FEW:
        return _jitter_by_step_(views_MCHW, rows_MK)
    for operations, which in _pieces(chain_M, pixels):
        factors_M4 = rows_MK[which, table.FACTORS : table.FACTORS + 4]
        for operation, factor_M in zip(operations, factors_M4.unbind(1), strict=True):
            _operate_(views_MCHW[which], operation, factor_M[:, None, None, None])
    return views_MCHW


def _jitter_by_step_(views_MCHW: Tensor, rows_MK: Tensor) -> Tensor:
    for step in range(4):
        for operation in (BRIGHTNESS, CONTRAST, SATURATION, HUE):
            which = (rows_MK[:, table.OPERATIONS + step] == operation).nonzero().squeeze(1)
            if len(which):
                some = views_MCHW[which]
                _operate_(some, operation, rows_MK[which, table.FACTORS + step][:, None, None, None])
                views_MCHW.index_copy_(0, which, some)
    return views_MCHW


def _operate_(views_MCHW: Tensor, operation: int, factor_M111: Tensor) -> None:
    if operation == BRIGHTNESS:
        views_MCHW.mul_(factor_M111).clamp_(0, 1)
    elif operation == CONTRAST:
        mean = _gray(views_MCHW.mean(dim=(2, 3), keepdim=True))
        views_MCHW.mul_(factor_M111).add_(mean.mul_(1 - factor_M111)).clamp_(0, 1)
    elif operation == SATURATION:
        gray = _gray(views_MCHW)
        views_MCHW.mul_(factor_M111).add_(gray.mul_(1 - factor_M111)).clamp_(0, 1)
    elif operation == HUE:
        _shift_hue_(views_MCHW, factor_M111)


def _gray(views_MCHW: Tensor) -> Tensor:
    """(M, 1, H, W), a new tensor."""
    red, green, blue = views_MCHW.split(1, dim=1)
    gray: Tensor = (red * LUMA_WEIGHTS[0]).add_(green, alpha=LUMA_WEIGHTS[1]).add_(blue, alpha=LUMA_WEIGHTS[2])
    return gray


def _shift_hue_(views_MCHW: Tensor, turns_M111: Tensor) -> None:
    """In place; `plain.shift_hue` in fewer operations.

    clamp(min(k, 4 − k), 0, 1) of k mod 6 is clamp(2 − 6·d, 0, 1), d the distance of (k − 2) / 6 from a whole number.
    """
    red, green, blue = views_MCHW.split(1, dim=1)
    value = torch.maximum(red, green).clamp_(min=blue)
    chroma = value - torch.minimum(red, green).clamp_(max=blue)
    is_red, is_green = value == red, value == green
    turns = torch.where(is_red, green - blue, torch.where(is_green, blue - red, red - green))
    turns.div_(chroma * 6 + torch.finfo(torch.float32).tiny)
    turns.add_(torch.where(is_red, 0.0, torch.where(is_green, 1 / 3, 2 / 3))).add_(turns_M111)
    part = turns + torch.tensor([3 / 6, 1 / 6, -1 / 6])[:, None, None]
    part.sub_(part.round()).abs_().mul_(-6).add_(2).clamp_(0, 1).mul_(chroma)
    torch.sub(value, part, out=views_MCHW).clamp_(0, 1)


def _blur_by_products(views_MCHW: Tensor, weights_MT: Tensor) -> Tensor:
    """The views blurred with a matrix that has each pixel's weights in a row, the border reflected."""
    size, taps = views_MCHW.shape[3], weights_MT.shape[1]
    place_ST = (torch.arange(size)[:, None] + torch.arange(taps) - taps // 2).abs()
    place_ST = torch.where(place_ST >= size, 2 * (size - 1) - place_ST, place_ST)
    blurring = torch.zeros(len(views_MCHW), size, size)
    for place_S, weight_M in zip(place_ST.unbind(1), weights_MT.unbind(1), strict=True):
        blurring[:, torch.arange(size), place_S] += weight_M[:, None]
    lines = torch.bmm(views_MCHW.flatten(1, 2), blurring.mT).view(views_MCHW.shape)
    return torch.matmul(blurring[:, None], lines)


def _blur_by_convolution(views_MCHW: Tensor, weights_MT: Tensor) -> Tensor:
    count, channels = views_MCHW.shape[:2]
    radius = weights_MT.shape[1] // 2
    padded = F.pad(views_MCHW, (radius, radius, radius, radius), mode="reflect").flatten(0, 1)[None]
    kernels = weights_MT.repeat_interleave(channels, dim=0)[:, None, None, :]
    blurred = F.conv2d(F.conv2d(padded, kernels, groups=len(kernels)), kernels.mT, groups=len(kernels))
    return blurred.view(count, channels, *blurred.shape[2:])
