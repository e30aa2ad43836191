"""The fused way of a device: kernels on CUDA, groups of views elsewhere."""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from trainer.augment import AugmentRecipe
from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.fused import grouped


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
        config: the settings.
        machine: the device.
    """
    recipe, size = AugmentRecipe.from_config(config), config.image_size
    dtype, memory_format = machine.autocast_dtype or torch.float32, machine.memory_format
    if machine.is_cuda:
        from trainer.fused import kernels  # Triton is there only with CUDA

        return partial(kernels.fused_views, recipe=recipe, out_size=size, dtype=dtype, memory_format=memory_format)
    # Also with compile=yes: compiled, the colours of all views would be computed at every place of the order.
    return partial(grouped.fused_views, recipe=recipe, out_size=size, dtype=dtype, memory_format=memory_format)


def by_image(rows_MK: Tensor, images: int) -> Tensor:
    """Rows of all first views, then all second ones, as (B, V, K)."""
    rows_VBK: Tensor = rows_MK.unflatten(0, (-1, images))
    return rows_VBK.transpose(0, 1).contiguous()
