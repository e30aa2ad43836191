"""The views by torchvision, one image at a time on the CPU: what DataLoader workers run.

An image's view is the same bit for bit in any process, batch and order. Where PyTorch splits an image between threads
it sums in another order, so an image is always worked on by one thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as TF

from trainer.augment import AugmentRecipe, ViewParameters, normalise_, to_unit

_JITTER = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue)


def augment_image(
    image_u8_CHW: Tensor, parameters: ViewParameters, row: int, recipe: AugmentRecipe, out_size: int
) -> Tensor:
    """One view of one image.

    Args:
        image_u8_CHW: uint8 (3, H, W), on the CPU.
        parameters: what the views were drawn, for images of H × W pixels.
        row: which of these views.
        recipe: the recipe that the parameters were drawn from.
        out_size: side of the view in pixels.

    Returns:
        float32 (3, out_size, out_size), normalised.
    """
    with torch.no_grad(), _one_thread():
        view = _crop(image_u8_CHW, parameters, row, out_size)
        if parameters.flip[row]:
            view = TF.horizontal_flip(view)
        if parameters.jitter[row]:
            view = _jitter(view, parameters, row, recipe)
        if parameters.grayscale[row]:
            view = TF.rgb_to_grayscale(view, num_output_channels=3)
        if parameters.blur[row]:
            kernel, sigma = recipe.blur_kernel_size, float(parameters.sigma[row])
            view = TF.gaussian_blur(view, [kernel, kernel], [sigma, sigma])
        return normalise_(view.contiguous(), recipe.normalisation)


def augment_batch(images_u8_BCHW: Tensor, parameters: ViewParameters, recipe: AugmentRecipe, out_size: int) -> Tensor:
    """All views of a batch, with the signature of `augment_kornia.augment_batch`.

    Args:
        images_u8_BCHW: uint8 (B, 3, H, W), on the CPU.
        parameters: V·B views, all first views before all second ones.
        recipe: the recipe that the parameters were drawn from.
        out_size: side of the views in pixels.

    Returns:
        float32 (V·B, 3, out_size, out_size), normalised, in the parameters' order.
    """
    images = len(images_u8_BCHW)
    return torch.stack(
        [
            augment_image(images_u8_BCHW[row % images], parameters, row, recipe, out_size)
            for row in range(len(parameters))
        ]
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _crop(image_u8_CHW: Tensor, parameters: ViewParameters, row: int, out_size: int) -> Tensor:
    """The view's box, resized; in [0, 1]."""
    top, left = int(parameters.top[row]), int(parameters.left[row])
    height, width = int(parameters.height[row]), int(parameters.width[row])
    # A memory-mapped image is stored by columns. With its strides the same pixels would be summed in another order.
    box = to_unit(image_u8_CHW[:, top : top + height, left : left + width].contiguous())
    view: Tensor = TF.resize(box, [out_size, out_size], antialias=True)
    return view


def _jitter(view_CHW: Tensor, parameters: ViewParameters, row: int, recipe: AugmentRecipe) -> Tensor:
    for operation in parameters.order[row].tolist():
        if recipe.strengths[operation]:
            view_CHW = _JITTER[operation](view_CHW, float(parameters.factors[operation][row]))
    return view_CHW
