"""The fused way of a device: kernels on CUDA, groups of views elsewhere, their colours compiled where that is asked."""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from trainer.augment import AugmentRecipe
from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.fused import grouped, plain


class FusedViews(Protocol):
    """Makes all views of a batch."""

    def __call__(self, images_u8_NCHW: Tensor, table_NVK: Tensor, indices_B: Tensor) -> Tensor:
        """Views (V·B, 3, S, S), normalised, all first views before all second ones.

        Args:
            images_u8_NCHW: uint8, contiguous.
            table_NVK: float32, contiguous, the parameters of the images' views.
            indices_B: int64, which images are in the batch.
        """
        ...


def make_fused_views(config: PretrainConfig, machine: Machine) -> FusedViews:
    """The way of a device. The views are stored in what the network computes in: bfloat16 where autocast is.

    Args:
        config: the settings; with compile=yes inductor compiles the colour operations of small views for a CPU.
        machine: the device.
    """
    recipe, size = AugmentRecipe.from_config(config), config.image_size
    dtype, memory_format = machine.autocast_dtype or torch.float32, machine.memory_format
    if machine.is_cuda:
        from trainer.fused import kernels  # Triton is there only with CUDA

        return partial(kernels.fused_views, recipe=recipe, out_size=size, dtype=dtype, memory_format=memory_format)
    # Compiled they are computed for all views at every place of the order, which pays for small views only.
    eager = partial(grouped.fused_views, recipe=recipe, out_size=size, dtype=dtype, memory_format=memory_format)
    if config.compile != "yes" or size > grouped.SMALL:
        return eager
    compiled = partial(eager, colours=torch.compile(plain.colours, dynamic=False))

    def views(images_u8_NCHW: Tensor, table_NVK: Tensor, indices_B: Tensor) -> Tensor:
        """Those of a short last batch as they are written: it would be compiled for once more."""
        way = compiled if len(indices_B) == config.batch_size else eager
        return way(images_u8_NCHW, table_NVK, indices_B)

    return views


def by_image(rows_MK: Tensor, images: int) -> Tensor:
    """Rows of all first views, then all second ones, as (B, V, K)."""
    rows_VBK: Tensor = rows_MK.unflatten(0, (-1, images))
    return rows_VBK.transpose(0, 1).contiguous()
