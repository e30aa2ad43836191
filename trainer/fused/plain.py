"""The passes over a batch in plain PyTorch: what the kernels compute, step by step, and the reference for them.

    1  crop, flip, and the colour operations before contrast; contrast needs the mean gray of what they leave
    2  contrast, the colour operations after it, grayscale
    3  blur along the rows
    4  blur along the columns, normalise

Shapes depend on no parameter, and nothing is asked of the device, so that inductor or a CUDA graph can hold it all.
Eager it computes every operation for every view and takes only what was drawn, which is slow. Shape suffixes: N
images, B of them in a batch, V views of each, M = V·B, K columns, T taps, C H W an image, S side of a view.
"""

import math

import torch
from torch import Tensor

from trainer.augment import BRIGHTNESS, CONTRAST, HUE, LUMA_WEIGHTS, NORMALISATIONS, SATURATION, AugmentRecipe
from trainer.fused import table


def fused_views(
    images_u8_NCHW: Tensor,
    table_NVK: Tensor,
    indices_B: Tensor,
    recipe: AugmentRecipe,
    out_size: int,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """All views of a batch.

    Args:
        images_u8_NCHW: uint8, the images of a split.
        table_NVK: float32, the parameters of their views.
        indices_B: int64, which images are in the batch.
        recipe: that the parameters were drawn from.
        out_size: side of the views in pixels.
        dtype: of the result; computed in float32 and rounded once, when it is stored.

    Returns:
        (V·B, 3, S, S), normalised, all first views before all second ones.
    """
    rows_MK = table_NVK[indices_B].transpose(0, 1).flatten(0, 1)
    views = crop(images_u8_NCHW[indices_B].repeat(table_NVK.shape[1], 1, 1, 1), rows_MK, out_size)
    operations_M4 = rows_MK[:, table.OPERATIONS : table.OPERATIONS + 4]
    is_late_M4 = (operations_M4 == CONTRAST).cummax(dim=1).values
    views = jitter(views, rows_MK, ~is_late_M4)
    views = grayscale(jitter(views, rows_MK, is_late_M4), rows_MK)
    weights_MT = blur_weights(rows_MK, recipe.blur_kernel_size)
    views = blur_rows(blur_rows(views, weights_MT).mT, weights_MT).mT
    mean_311, deviation_311 = (
        torch.tensor(values)[:, None, None].to(views) for values in NORMALISATIONS[recipe.normalisation]
    )
    return ((views - mean_311) / deviation_311).to(dtype)


def crop(images_u8_MCHW: Tensor, rows_MK: Tensor, size: int) -> Tensor:
    """The views' boxes, resized and mirrored where that was drawn: float32 (M, C, S, S) in [0, 1]."""
    top, left, height, width, flip = rows_MK[:, :5, None].unbind(1)
    place_S = torch.arange(size, device=rows_MK.device) + 0.5
    centre_y_MS = place_S * (height / size)
    centre_x_MS = torch.where(flip != 0, size - place_S, place_S) * (width / size)
    taps = taps_of(images_u8_MCHW.shape[2], images_u8_MCHW.shape[3], size)
    lines = _resample(images_u8_MCHW.float() / 255, top, height, centre_y_MS, taps)
    resized: Tensor = _resample(lines.mT, left, width, centre_x_MS, taps).mT
    return resized


def taps_of(height: int, width: int, size: int) -> int:
    """How many old pixels in a row can have a part in a new one, for any crop of images of that size."""
    longest = max(height, width)
    return 2 if longest <= size else 2 * math.ceil(longest / size) + 1


def _resample(views_MCHW: Tensor, start_M1: Tensor, length_M1: Tensor, centre_MS: Tensor, taps: int) -> Tensor:
    """Boxes resized along their rows with PyTorch's antialiasing, a triangle as wide as a new pixel: (M, C, S, W).

    Where a box is enlarged the triangle is two pixels wide, which is bilinear interpolation. A box is resized as if it
    were the whole image: what lies beyond its border has no part.
    """
    support_M1 = (length_M1 / centre_MS.shape[1]).clamp(min=1)
    first_MS = (centre_MS - support_M1 + 0.5).floor().clamp(min=0)
    total_MS, resized = torch.zeros_like(centre_MS), torch.zeros((), device=views_MCHW.device)
    for tap in range(taps):
        place_MS = first_MS + tap
        distance_MS = (place_MS + 0.5 - centre_MS).abs() / support_M1
        weight_MS = (1 - distance_MS).clamp(min=0) * (place_MS < length_M1)
        row_MS = (start_M1 + torch.minimum(place_MS, length_M1 - 1)).long()
        index = row_MS[:, None, :, None].expand(-1, views_MCHW.shape[1], -1, views_MCHW.shape[3])
        resized = resized + views_MCHW.gather(2, index) * weight_MS[:, None, :, None]
        total_MS = total_MS + weight_MS
    return resized / total_MS[:, None, :, None]


def gray(views_MCHW: Tensor) -> Tensor:
    """(M, 1, H, W), by torchvision's weights."""
    red, green, blue = views_MCHW.split(1, dim=1)
    weighted: Tensor = LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue
    return weighted


def jitter(views_MCHW: Tensor, rows_MK: Tensor, is_done_M4: Tensor) -> Tensor:
    """The colour operations of each view, in its own order, clamped after each; of the four steps those to be done."""
    for step in range(4):
        operation = torch.where(is_done_M4[:, step], rows_MK[:, table.OPERATIONS + step], float(table.NO_OPERATION))[
            :, None, None, None
        ]
        factor = rows_MK[:, table.FACTORS + step][:, None, None, None]
        lightness = gray(views_MCHW)
        target = torch.where(operation == CONTRAST, lightness.mean(dim=(2, 3), keepdim=True), lightness)
        target = torch.where(operation == BRIGHTNESS, 0.0, target)
        blended = (factor * views_MCHW + (1 - factor) * target).clamp(0, 1)
        views_MCHW = torch.where(
            operation == HUE,
            shift_hue(views_MCHW, factor),
            torch.where(operation <= SATURATION, blended, views_MCHW),
        )
    return views_MCHW


def shift_hue(views_MCHW: Tensor, turns_M111: Tensor) -> Tensor:
    """Colours moved along the circle of HSV.

    A channel is value − chroma · clamp(min(k, 4 − k), 0, 1) with k = (n + 6·hue) mod 6, n = 5, 3, 1 for red, green,
    blue: HSV's six cases as one (en.wikipedia.org/wiki/HSL_and_HSV, "HSV to RGB alternative").
    """
    red, green, blue = views_MCHW.split(1, dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    divisor = torch.where(chroma > 0, chroma, 1.0)
    sixth = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixth = sixth + 6 * turns_M111
    channels = []
    for offset in (5.0, 3.0, 1.0):
        place = sixth + offset
        place = place - 6 * (place / 6).floor()
        channels.append(value - chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.cat(channels, dim=1).clamp(0, 1)


def grayscale(views_MCHW: Tensor, rows_MK: Tensor) -> Tensor:
    """The views, those without colours that were drawn so."""
    return torch.where(rows_MK[:, table.GRAYSCALE][:, None, None, None] != 0, gray(views_MCHW), views_MCHW)


def blur_weights(rows_MK: Tensor, taps: int) -> Tensor:
    """The Gaussian of each view, float32 (M, T); 1 in the middle where the view is not blurred."""
    sigma_M1 = rows_MK[:, table.SIGMA, None]
    distance_T = torch.arange(taps, device=rows_MK.device) - float(taps // 2)
    weights_MT = torch.exp(-0.5 * (distance_T / torch.where(sigma_M1 > 0, sigma_M1, 1.0)) ** 2)
    weights_MT = torch.where(sigma_M1 > 0, weights_MT, (distance_T == 0).float())
    return weights_MT / weights_MT.sum(dim=1, keepdim=True)


def blur_rows(views_MCHW: Tensor, weights_MT: Tensor) -> Tensor:
    """Each row blurred, the border reflected."""
    width, taps = views_MCHW.shape[3], weights_MT.shape[1]
    place_W = torch.arange(width, device=views_MCHW.device)
    blurred = torch.zeros_like(views_MCHW)
    for tap in range(taps):
        source_W = (place_W + tap - taps // 2).abs()
        source_W = torch.where(source_W >= width, 2 * (width - 1) - source_W, source_W)
        blurred = blurred + views_MCHW[..., source_W] * weights_MT[:, tap][:, None, None, None]
    return blurred
