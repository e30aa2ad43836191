"""The passes of `plain` as Triton kernels, one program for each tile of each view.

A view's parameters are scalars of its program, so that it does only what was drawn for it: the branches do not diverge.
All is computed in float32 registers. There are no atomics and no random numbers: the mean gray is a sum of the tiles'
sums in a fixed order, and the same input gives the same bits. The parameters and the numbers of the images are read on
the device, so that the launches can be captured into a CUDA graph.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"
# The kernels are written in Triton's language, which looks like Python and has other types.

import torch
import triton
import triton.language as tl
from torch import Tensor

from trainer.augment import LUMA_WEIGHTS, NORMALISATIONS, AugmentRecipe
from trainer.fused import table

_BLOCK = 1024
"""Pixels of a tile."""

_BATCH = ("images",)
"""What a short last batch has another number of; the kernels would be compiled anew for some of these numbers."""

_COLUMNS, _OPERATIONS, _FACTORS = (tl.constexpr(n) for n in (table.COLUMNS, table.OPERATIONS, table.FACTORS))
_GRAYSCALE, _SIGMA = tl.constexpr(table.GRAYSCALE), tl.constexpr(table.SIGMA)
_RED, _GREEN, _BLUE = (tl.constexpr(weight) for weight in LUMA_WEIGHTS)


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

    Tensors that are not contiguous would be read wrong, since a kernel knows addresses alone.

    Args:
        images_u8_NCHW: uint8, contiguous.
        table_NVK: float32, contiguous.
        indices_B: int64, contiguous.
        recipe: that the parameters were drawn from.
        out_size: side of the views in pixels.
        dtype: of the result.
        memory_format: of the result.
    """
    assert all(values.is_contiguous() for values in (images_u8_NCHW, table_NVK, indices_B))
    with torch.cuda.device_of(images_u8_NCHW):  # Triton launches on the current device, wherever the tensors are
        return _launch(images_u8_NCHW, table_NVK, indices_B, recipe, out_size, dtype, memory_format)


def _launch(
    images_u8_NCHW: Tensor,
    table_NVK: Tensor,
    indices_B: Tensor,
    recipe: AugmentRecipe,
    out_size: int,
    dtype: torch.dtype,
    memory_format: torch.memory_format,
) -> Tensor:
    images, views = len(indices_B), table_NVK.shape[1]
    height, width = images_u8_NCHW.shape[2:]
    pixels, device = out_size * out_size, images_u8_NCHW.device
    tiles = triton.cdiv(pixels, _BLOCK)
    grid = (images * views, tiles)
    cropped = torch.empty(images * views, 3, out_size, out_size, device=device)
    coloured = torch.empty_like(cropped)
    sums = torch.empty(images * views, tiles, device=device)
    result = torch.empty_like(cropped, dtype=dtype, memory_format=memory_format)
    whose = (table_NVK, indices_B, images, views)
    _crop_kernel[grid](images_u8_NCHW, *whose, cropped, sums, height, width, out_size, tiles, BLOCK=_BLOCK)
    _colour_kernel[grid](
        cropped, *whose, coloured, sums, out_size, tiles, TILES=triton.next_power_of_2(tiles), BLOCK=_BLOCK
    )
    radius = recipe.blur_kernel_size // 2
    unchanged = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
    blurred = cropped  # what the crop left is not read again
    _blur_kernel[grid](
        coloured, *whose, blurred, *blurred.stride(), *unchanged, out_size, radius, ALONG_X=True, BLOCK=_BLOCK
    )
    mean, deviation = NORMALISATIONS[recipe.normalisation]
    _blur_kernel[grid](
        blurred, *whose, result, *result.stride(), *mean, *deviation, out_size, radius, ALONG_X=False, BLOCK=_BLOCK
    )
    return result


@triton.jit
def _row_of(table_ptr, indices_ptr, images, views):
    """The number of the program's image, and where the parameters of its view begin."""
    view = tl.program_id(0)
    image = tl.load(indices_ptr + view % images).to(tl.int64)
    return image, table_ptr + (image * views + view // images) * _COLUMNS


@triton.jit
def _gray(red, green, blue):
    return _RED * red + _GREEN * green + _BLUE * blue


@triton.jit
def _blend(channel, target, factor):
    return tl.minimum(tl.maximum(factor * channel + (1 - factor) * target, 0.0), 1.0)


@triton.jit
def _hue_channel(value, chroma, place):
    """A channel from HSV; see `plain.shift_hue`."""
    place = place - 6 * tl.floor(place / 6)
    part = tl.minimum(tl.maximum(tl.minimum(place, 4 - place), 0.0), 1.0)
    return tl.minimum(tl.maximum(value - chroma * part, 0.0), 1.0)


@triton.jit
def _operate(red, green, blue, operation, factor, mean):
    """One colour operation of a view; NO_OPERATION changes nothing."""
    if operation == 3:
        value = tl.maximum(tl.maximum(red, green), blue)
        chroma = value - tl.minimum(tl.minimum(red, green), blue)
        divisor = tl.where(chroma > 0, chroma, 1.0)
        sixth = tl.where(
            value == red,
            (green - blue) / divisor,
            tl.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
        )
        sixth = sixth + 6 * factor
        red = _hue_channel(value, chroma, sixth + 5)
        green = _hue_channel(value, chroma, sixth + 3)
        blue = _hue_channel(value, chroma, sixth + 1)
    elif operation < 3:
        target = _gray(red, green, blue)
        if operation == 0:
            target = target * 0
        elif operation == 1:
            target = target * 0 + mean
        red, green, blue = _blend(red, target, factor), _blend(green, target, factor), _blend(blue, target, factor)
    return red, green, blue


@triton.jit
def _before_contrast(red, green, blue, row):
    is_early = 1
    for step in range(4):
        operation = tl.load(row + _OPERATIONS + step)
        if operation == 1:
            is_early = 0
        if is_early != 0:
            red, green, blue = _operate(red, green, blue, operation, tl.load(row + _FACTORS + step), 0.0)
    return red, green, blue


@triton.jit(do_not_specialize=_BATCH)
def _crop_kernel(
    images_ptr, table_ptr, indices_ptr, images, views, out_ptr, sums_ptr, height, width, size, tiles,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Pass 1: gather, crop, flip, the operations before contrast, and the gray of the tile."""
    image, row = _row_of(table_ptr, indices_ptr, images, views)
    top, left = tl.load(row).to(tl.int32), tl.load(row + 1).to(tl.int32)
    box_height, box_width, flip = tl.load(row + 2), tl.load(row + 3), tl.load(row + 4)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_inside = pixel < size * size
    pixel = tl.minimum(pixel, size * size - 1)
    place_x, place_y = (pixel % size) + 0.5, (pixel // size) + 0.5
    place_x = tl.where(flip != 0, size - place_x, place_x)
    centre_x, centre_y = place_x * (box_width / size), place_y * (box_height / size)
    support_x, support_y = tl.maximum(box_width / size, 1.0), tl.maximum(box_height / size, 1.0)
    first_x = tl.maximum(tl.floor(centre_x - support_x + 0.5), 0.0)
    first_y = tl.maximum(tl.floor(centre_y - support_y + 0.5), 0.0)
    red = tl.zeros([BLOCK], tl.float32)
    green, blue = red, red
    total_y, total_x = red, red
    source = images_ptr + image * 3 * height * width
    for tap_y in range(tl.ceil(2 * support_y).to(tl.int32)):  # more old pixels can't lie within the triangle
        y = first_y + tap_y
        weight_y = tl.maximum(1 - tl.abs(y + 0.5 - centre_y) / support_y, 0.0)
        weight_y = tl.where(y < box_height, weight_y, 0.0)
        total_y += weight_y
        line = source + (top + tl.minimum(y, box_height - 1).to(tl.int32)) * width
        total_x = tl.zeros([BLOCK], tl.float32)
        for tap_x in range(tl.ceil(2 * support_x).to(tl.int32)):
            x = first_x + tap_x
            weight_x = tl.maximum(1 - tl.abs(x + 0.5 - centre_x) / support_x, 0.0)
            weight_x = tl.where(x < box_width, weight_x, 0.0)
            total_x += weight_x
            at = line + left + tl.minimum(x, box_width - 1).to(tl.int32)
            weight = weight_y * weight_x
            red += weight * tl.load(at, mask=is_inside, other=0).to(tl.float32)
            green += weight * tl.load(at + height * width, mask=is_inside, other=0).to(tl.float32)
            blue += weight * tl.load(at + 2 * height * width, mask=is_inside, other=0).to(tl.float32)
    scale = 1 / (255 * total_y * total_x)
    red, green, blue = _before_contrast(red * scale, green * scale, blue * scale, row)
    out = out_ptr + tl.program_id(0).to(tl.int64) * 3 * size * size + pixel
    tl.store(out, red, mask=is_inside)
    tl.store(out + size * size, green, mask=is_inside)
    tl.store(out + 2 * size * size, blue, mask=is_inside)
    gray = tl.where(is_inside, _gray(red, green, blue), 0.0)
    tl.store(sums_ptr + tl.program_id(0) * tiles + tl.program_id(1), tl.sum(gray, axis=0))


@triton.jit(do_not_specialize=_BATCH)
def _colour_kernel(
    in_ptr, table_ptr, indices_ptr, images, views, out_ptr, sums_ptr, size, tiles,
    TILES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Pass 2: contrast, the operations after it, grayscale."""
    _, row = _row_of(table_ptr, indices_ptr, images, views)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_inside = pixel < size * size
    offset = tl.program_id(0).to(tl.int64) * 3 * size * size + pixel
    red = tl.load(in_ptr + offset, mask=is_inside, other=0.0)
    green = tl.load(in_ptr + offset + size * size, mask=is_inside, other=0.0)
    blue = tl.load(in_ptr + offset + 2 * size * size, mask=is_inside, other=0.0)
    tile = tl.arange(0, TILES)
    sums = tl.load(sums_ptr + tl.program_id(0) * tiles + tile, mask=tile < tiles, other=0.0)
    mean = tl.sum(sums, axis=0) / (size * size)
    is_late = 0
    for step in range(4):
        operation = tl.load(row + _OPERATIONS + step)
        if operation == 1:
            is_late = 1
        if is_late != 0:
            red, green, blue = _operate(red, green, blue, operation, tl.load(row + _FACTORS + step), mean)
    if tl.load(row + _GRAYSCALE) != 0:
        red = _gray(red, green, blue)
        green, blue = red, red
    tl.store(out_ptr + offset, red, mask=is_inside)
    tl.store(out_ptr + offset + size * size, green, mask=is_inside)
    tl.store(out_ptr + offset + 2 * size * size, blue, mask=is_inside)


@triton.jit(do_not_specialize=_BATCH)
def _blur_kernel(
    in_ptr, table_ptr, indices_ptr, images, views, out_ptr, stride_m, stride_c, stride_y, stride_x,
    mean_r, mean_g, mean_b, deviation_r, deviation_g, deviation_b, size, radius,
    ALONG_X: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Passes 3 and 4: blur in one direction, the border reflected; less a mean and by a deviation; any layout."""
    _, row = _row_of(table_ptr, indices_ptr, images, views)
    sigma = tl.load(row + _SIGMA)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    is_inside = pixel < size * size
    x, y = pixel % size, pixel // size
    source = in_ptr + tl.program_id(0).to(tl.int64) * 3 * size * size
    red = tl.zeros([BLOCK], tl.float32)
    green, blue = red, red
    total = sigma * 0
    reach = tl.where(sigma > 0, radius, 0)
    divisor = tl.where(sigma > 0, sigma, 1.0)
    for step in range(2 * reach + 1):
        distance = step - reach
        scaled = distance / divisor
        weight = tl.exp(-0.5 * scaled * scaled)
        total += weight
        place = tl.abs((x if ALONG_X else y) + distance)
        place = tl.where(place >= size, 2 * (size - 1) - place, place)
        at = source + (y * size + place if ALONG_X else place * size + x)
        red += weight * tl.load(at, mask=is_inside, other=0.0)
        green += weight * tl.load(at + size * size, mask=is_inside, other=0.0)
        blue += weight * tl.load(at + 2 * size * size, mask=is_inside, other=0.0)
    out = out_ptr + tl.program_id(0).to(tl.int64) * stride_m + y * stride_y + x * stride_x
    kind = out_ptr.dtype.element_ty
    tl.store(out, ((red / total - mean_r) / deviation_r).to(kind), mask=is_inside)
    tl.store(out + stride_c, ((green / total - mean_g) / deviation_g).to(kind), mask=is_inside)
    tl.store(out + 2 * stride_c, ((blue / total - mean_b) / deviation_b).to(kind), mask=is_inside)
