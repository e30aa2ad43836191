"""The parameters of views as rows of one float32 tensor, which a device reads without asking the host.

Every number of `ViewParameters` is exact in float32: pixels, operations and yes or no are small whole numbers. Shape
suffixes: N images, V views of each, M views, K columns.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, ViewParameters, draw_parameters
from trainer.config import PretrainConfig
from trainer.randomness import permutation, uniforms

TOP, LEFT, HEIGHT, WIDTH, FLIP = range(5)
OPERATIONS = 5
"""First of four columns: the jitter's operations from first to last, or NO_OPERATION."""
FACTORS = 9
"""First of four columns: what each of these operations takes."""
GRAYSCALE, SIGMA = 13, 14
"""Whether the colours are taken away; sigma of the blur in pixels, 0 where the view is not blurred."""
COLUMNS = 15

NO_OPERATION = 4
"""Stands in place of an operation that is left out."""

_IMAGES_AT_ONCE = 1024
"""Images whose views are drawn together: their numbers stay in the cache, and other threads wait about 2 ms."""


def pack(parameters: ViewParameters, recipe: AugmentRecipe) -> Tensor:
    """The parameters of M views as float32 (M, COLUMNS).

    Args:
        parameters: of the views.
        recipe: that they were drawn from; tells which operations are left out.
    """
    order_M4 = parameters.order
    strengths_4 = torch.tensor(recipe.strengths)
    is_done_M4 = parameters.jitter[:, None] & (strengths_4 != 0)[order_M4]
    factors_M4 = torch.stack(parameters.factors, dim=1).gather(1, order_M4)
    box = (parameters.top, parameters.left, parameters.height, parameters.width, parameters.flip)
    columns = [
        *(column.float() for column in box),
        *torch.where(is_done_M4, order_M4, NO_OPERATION).float().unbind(1),
        *factors_M4.unbind(1),
        parameters.grayscale.float(),
        torch.where(parameters.blur, parameters.sigma, 0.0),
    ]
    return torch.stack(columns, dim=1)


def draw_table(
    seed: int, epoch: int | str, count: int, views: int, recipe: AugmentRecipe, size: tuple[int, int]
) -> Tensor:
    """The parameters of all views of an epoch: float32 (N, V, COLUMNS), row i those of the image of index i.

    Args:
        seed: the run's seed.
        epoch: which epoch, or a fixed name.
        count: N, the number of images.
        views: V, views of each.
        recipe: what they are drawn from.
        size: height and width of the images in pixels.
    """
    table_NVK = torch.empty(count, views, COLUMNS)
    for start in range(0, count, _IMAGES_AT_ONCE):
        some = min(_IMAGES_AT_ONCE, count - start)
        draws = uniforms(seed, epoch, some, views, UNIFORMS_PER_VIEW, start=start).flatten(0, 1)
        packed = pack(draw_parameters(draws, recipe, *size), recipe)
        table_NVK[start : start + some] = packed.view(some, views, COLUMNS)
    return table_NVK


class EpochTables:
    """Order and parameters of whole epochs on a device; on CUDA a thread draws the next epoch's in the meantime.

    100,000 images of two views take about 0.3 s and 12 MB.
    """

    def __init__(
        self, config: PretrainConfig, count: int, size: tuple[int, int], device: torch.device, *, shared_by: int = 0
    ) -> None:
        """Prepare to draw.

        Args:
            config: the settings.
            count: N, the number of images.
            size: their height and width in pixels.
            device: where the tables are held.
            shared_by: how many images that follow each other get the first one's draws; 0: each its own.
        """
        self._config = config
        self._count = count
        self._size = size
        self._device = device
        self._shared_by = shared_by
        self._epoch = 0
        self._held: tuple[Tensor, Tensor] | None = None
        self._thread = _one_thread()
        self._ahead: tuple[int, Future[tuple[Tensor, Tensor]]] | None = None

    def of(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Order int64 (N,) and table float32 (N, V, COLUMNS) of an epoch, on the device.

        Args:
            epoch: counted from 1.
        """
        if self._held is None or epoch != self._epoch:
            drawn = self._ahead[1].result() if self._ahead and self._ahead[0] == epoch else self._draw(epoch)
            order_N, table_NVK = (values.to(self._device, non_blocking=True) for values in drawn)
            self._epoch, self._held = epoch, (order_N, table_NVK)
            # On a CPU a second thread's OpenMP team slows the network's by a tenth, even while it is idle.
            if epoch < self._config.epochs and self._device.type == "cuda":
                self._ahead = (epoch + 1, self._thread.submit(self._draw, epoch + 1))
        return self._held

    def close(self) -> None:
        """End the thread; another one begins where more is asked for."""
        self._thread.shutdown(cancel_futures=True)
        self._thread, self._ahead = _one_thread(), None

    def _draw(self, epoch: int) -> tuple[Tensor, Tensor]:
        config, count = self._config, self._count
        order_N = permutation(config.seed, epoch, count)
        recipe = AugmentRecipe.from_config(config)
        table_NVK = draw_table(config.seed, epoch, count, config.views, recipe, self._size)
        if self._shared_by:
            table_NVK = share(table_NVK, order_N, self._shared_by)
        if self._device.type == "cuda":
            return order_N.pin_memory(), table_NVK.pin_memory()
        return order_N, table_NVK


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="tables")


def share(table_NVK: Tensor, order_N: Tensor, size: int) -> Tensor:
    """The table in which all images of a batch have the rows of its first one.

    Args:
        table_NVK: the parameters, by image.
        order_N: int64 (N,), the images in the order of the batches.
        size: images of a batch.
    """
    firsts = order_N[torch.arange(len(order_N)) // size * size]
    return torch.empty_like(table_NVK).index_copy_(0, order_N, table_NVK[firsts])
