"""Batch norm over the images of all ranks (Ioffe and Szegedy 2015, arXiv 1502.03167, on the whole batch).

torch.nn.SyncBatchNorm takes CUDA tensors alone. `SharedBatchNorm` does the same by plain all-reduces on any device and
is compared with BatchNorm on the whole batch; on CUDA devices torch's own takes its place.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainer.distributed.collectives import timed


class _Sum(torch.autograd.Function):
    """The sum over all ranks, on every rank; so is the way back."""

    @staticmethod
    def forward(_context: Any, own: Tensor) -> Tensor:
        """The sum of all ranks' tensors."""
        total = own.clone()
        with timed(total):
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        """The sum of all ranks' gradients."""
        total = gradients[0].contiguous().clone()
        with timed(total):
            dist.all_reduce(total)
        return total


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _summed(own: Tensor) -> Tensor:
    """The sum over all ranks. No compiler looks into it: what lies before and behind is compiled by itself."""
    total: Tensor = _Sum.apply(own)
    return total


class SharedBatchNorm(_BatchNorm):
    """Batch norm whose mean and variance in training are of all ranks' rows together; otherwise torch's.

    Takes (N, C), (N, C, L) or (N, C, H, W), the same shape on every rank. The variance is taken around the common
    mean, in two passes, and not from the mean of the squares, which loses digits.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch norm takes (N, C, …), and not {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalised, scaled and moved, of the input's shape."""
        self._check_input_dim(input)
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        rows = x.numel() // x.shape[1] * dist.get_world_size()
        mean_C: Tensor = _summed(x.sum(axes)) / rows
        centred = x - mean_C.view(shape)
        variance_C: Tensor = _summed(centred.square().sum(axes)) / rows
        self._follow(mean_C.detach(), variance_C.detach(), rows)
        normal = centred * torch.rsqrt(variance_C + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean_C: Tensor, variance_C: Tensor, rows: int) -> None:
        """Let the running statistics follow, with the unbiased variance as torch has it."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        pace = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean_C.to(self.running_mean.dtype), pace)
        self.running_var.lerp_((variance_C * rows / max(1, rows - 1)).to(self.running_var.dtype), pace)


def share_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Let every batch norm of a model see the whole batch; the names and values of its state stay.

    Args:
        model: is changed in place, and is itself replaced where it is a batch norm.
        device: where it trains.

    Returns:
        The model.
    """
    if device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return converted
    for name, child in model.named_children():
        setattr(model, name, share_batch_norm(child, device))
    if not isinstance(model, _BatchNorm) or isinstance(model, SharedBatchNorm):
        return model
    shared = SharedBatchNorm(
        model.num_features,
        model.eps,
        model.momentum,
        model.affine,
        model.track_running_stats,
    )
    if model.affine:
        shared.weight, shared.bias = model.weight, model.bias
    shared.running_mean, shared.running_var = model.running_mean, model.running_var
    shared.num_batches_tracked = model.num_batches_tracked
    shared.train(model.training)
    return shared
