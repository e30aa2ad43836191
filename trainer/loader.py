"""Batches of an epoch, from any batch of it, in an order that is a function of (seed, epoch).

The trajectory does not depend on how images are loaded: the permutation and every augmentation draw belong to
(seed, epoch, index), the workers hold no random state, and a loader that starts at batch k simply begins its list
there. Shapes: B images, V views, C H W image, K uniforms of a view.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, ViewParameters, draw_parameters, view_major
from trainer.augment_kornia import augment_batch as augment_with_kornia
from trainer.augment_torchvision import augment_batch as augment_with_torchvision
from trainer.config import PretrainConfig
from trainer.data.split import ImageSource
from trainer.device import Machine
from trainer.fused.table import COLUMNS, EpochTables, pack
from trainer.fused.views import FusedViews, by_image, make_fused_views
from trainer.job import Job
from trainer.parts import AUGMENTATION, COPY, HOST_AUGMENTATION, Part, unmeasured
from trainer.randomness import permutation, uniforms
from trainer.ranks import ALONE, Ranks
from trainer.shares import share
from trainer.workers import WorkerPool

_FEWEST_TO_COMPARE = 4
"""Images below which equal draws may be chance."""


class Batch(NamedTuple):
    """What the loader gives for a step; `ViewLoader.views` turns it into the network's input."""

    images: Tensor
    """uint8 (B, 3, H, W), or the finished views where the loader made them; with cache=vram only their numbers, int64
    (B,), so that nothing is gathered for a graph that has a table of the epoch."""
    draws: Tensor | None
    """What makes the views that are still to be made: their uniforms, float32 (B, V, K), or the table of the whole
    epoch (N, V, K) where there is one (`ViewLoader.epoch_tables`)."""
    labels: Tensor | None
    """int64 (B,) on the CPU, where the split has labels and the method wants them."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A batch to load, as arrays: a tensor would cost a worker one file descriptor each.

    The views' uniforms (V·B, K) come along where the workers augment.
    """

    indices: np.ndarray[Any, Any]
    uniforms: np.ndarray[Any, Any] | None


class _Batches(Dataset[Tensor]):
    """Answers requests; lives in the workers, or in the training process where there are none."""

    def __init__(self, images: ImageSource, recipe: AugmentRecipe, size: int) -> None:
        self._images = images
        self._recipe = recipe
        self._size = size
        self.part: Part = unmeasured

    def __getitem__(self, request: _Request) -> Tensor:
        """uint8 (B, 3, H, W), or float32 (V·B, 3, S, S) where the request carries uniforms."""
        images_BCHW = self._images.take(torch.from_numpy(request.indices))
        if request.uniforms is None:
            return images_BCHW
        with self.part(HOST_AUGMENTATION):
            uniforms_MK = torch.from_numpy(request.uniforms)
            parameters = draw_parameters(uniforms_MK, self._recipe, *images_BCHW.shape[2:])
            return augment_with_torchvision(images_BCHW, parameters, self._recipe, self._size)


class ViewLoader:
    """Gives the augmented views of one batch after the other, on the training device."""

    def __init__(
        self,
        images: ImageSource,
        config: PretrainConfig,
        machine: Machine,
        *,
        workers: int,
        labels: Tensor | None = None,
        job: Job | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """Args: what is loaded, the settings, the device, how many worker processes load it, the labels (N,) that
        come along, the job that is told when workers are lost, and who else has a share of each batch."""
        self._ranks = ranks
        self._labels = labels
        self._config = config
        self._machine = machine
        self._recipe = AugmentRecipe.from_config(config)
        self._in_workers = config.augment == "torchvision"
        self.count = len(images)
        self._source_size = images.shape[1:]
        self._fused: FusedViews | None = make_fused_views(config, machine) if config.augment == "fused" else None
        self._tables: EpochTables | None = None
        self._resident: Tensor | None = None
        self._pool: WorkerPool | None = None
        self._workers = workers
        if config.cache == "vram":
            self._resident = images.take(range(self.count)).to(machine.device).contiguous()
            if self._fused is not None:
                shared_by = config.batch_size if config.same_on_batch else 0
                self._tables = EpochTables(config, self.count, self._source_size, machine.device, shared_by=shared_by)
        else:
            self._answers = _Batches(images, self._recipe, config.image_size)
            pin_memory = config.pin_memory and machine.is_cuda
            self._pool = WorkerPool(self._answers, config, workers=workers, pin_memory=pin_memory, job=job)

    def close(self) -> None:
        """End the workers. A process that leaves without this waits for them in vain: they ignore SIGTERM."""
        if self._tables is not None:
            self._tables.close()
        if self._pool is not None:
            self._pool.close()

    def steps_per_epoch(self) -> int:
        """Batches of a whole epoch."""
        size = self._config.batch_size
        return self.count // size if self._config.drop_last else -(-self.count // size)

    def images_per_epoch(self) -> int:
        """Images of a whole epoch, those of a short last batch that is left out not counted."""
        return self.steps_per_epoch() * self._config.batch_size if self._config.drop_last else self.count

    def epoch(self, epoch: int, *, first_batch: int = 0, part: Part = unmeasured) -> Iterator[Batch]:
        """Batches of an epoch from one of them on.

        Args:
            epoch: counted from 1.
            first_batch: how many batches to leave out, because they were trained on before an interruption.
            part: times HOST_AUGMENTATION, where torchvision has no workers.

        Raises:
            EndRequested: the run was asked to end while a batch was waited for.
            TrainerError: workers were lost again and again.
        """
        config = self._config
        count, name = self.steps_per_epoch(), f"epoch {epoch}"
        if self._tables is not None:
            order_N, table_NVK = self._tables.of(epoch)
            yield from self._batches(order_N, table_NVK, first_batch, count, name=name)
            return
        order_N = permutation(config.seed, epoch, self.count)
        uniforms_NVK = uniforms(config.seed, epoch, self.count, config.views, UNIFORMS_PER_VIEW)
        yield from self._batches(order_N, uniforms_NVK, first_batch, count, name=name, part=part)

    def epoch_tables(self, epoch: int) -> tuple[Tensor, Tensor]:
        """What makes the views of a whole epoch, on the training device; with cache=vram and augment=fused.

        Args:
            epoch: counted from 1.

        Returns:
            The order in which the epoch visits the images, int64 (N,), and the parameters of their views, float32
            (N, V, fused.table.COLUMNS), row i those of image i. Not to be written to: the loader reads them as well.
        """
        assert self._tables is not None
        return self._tables.of(epoch)

    def fused_views(self, indices_B: Tensor, table_NVK: Tensor) -> Tensor:
        """Views of images by their numbers; with cache=vram and augment=fused.

        Work of the device alone and of static shapes: on CUDA it can be captured into a graph.

        Args:
            indices_B: int64 (B,), on the training device.
            table_NVK: the parameters of an epoch, from `epoch_tables`.

        Returns:
            (V·B, 3, S, S) as from `views`, all first views before all second ones.
        """
        assert self._resident is not None
        assert self._fused is not None
        return self._fused(self._resident, table_NVK, indices_B)

    def indices(self, epoch: int, batch: int) -> Tensor:
        """Which images a batch of an epoch holds: int64 (B,).

        Args:
            epoch: counted from 1.
            batch: counted from 0.
        """
        size = self._config.batch_size
        return permutation(self._config.seed, epoch, self.count)[batch * size : (batch + 1) * size]

    def fixed_views(self, batch_size: int, *, drop_last: bool) -> Iterator[Batch]:
        """Batches of always the same views in always the same order, for validation.

        The order is shuffled, since a folder's images lie class by class: a batch of one class would be another task,
        and leaving out a short last batch would leave out a class.

        Args:
            batch_size: images of a batch.
            drop_last: leave out a short last batch.
        """
        config = self._config
        order_N = permutation(config.seed, "validation", self.count)
        uniforms_NVK = uniforms(config.seed, "validation", self.count, config.views, UNIFORMS_PER_VIEW)
        batches = self.count // batch_size if drop_last else -(-self.count // batch_size)
        yield from self._batches(order_N, uniforms_NVK, 0, batches, batch_size)

    def shares_parameters(self) -> bool:
        """Whether the images of the first batch were all drawn the same augmentation, view by view.

        What the batch is really drawn, so that a mistake in the drawing is found as well as a setting.
        """
        config = self._config
        chosen = permutation(config.seed, 1, self.count)[: config.batch_size]
        if len(chosen) < _FEWEST_TO_COMPARE:
            return False
        rows = (uniforms(config.seed, 1, 1, config.views, UNIFORMS_PER_VIEW, start=int(image)) for image in chosen)
        drawn = draw_parameters(self._draws(torch.cat(list(rows))), self._recipe, *self._source_size)
        values = (getattr(drawn, field.name).unflatten(0, (config.views, -1)) for field in fields(drawn))
        return all(bool((value == value[:, :1]).all()) for value in values)

    def _batches(
        self,
        order_N: Tensor,
        draws_NVK: Tensor,
        first: int,
        count: int,
        size: int = 0,
        *,
        name: str = "validation",
        part: Part = unmeasured,
    ) -> Iterator[Batch]:
        """Args: which images, uniforms or the epoch's table by image, which batches, images of one, a name, and what
        times HOST_AUGMENTATION."""
        has_table = draws_NVK.shape[2] == COLUMNS
        slices = self._slices(first, count, size)
        batches: Iterator[Tensor]
        if self._pool is not None:
            if not self._workers:
                self._answers.part = part
            requests = [self._request(order_N[chosen], draws_NVK) for chosen in slices]
            batches = self._pool.answers(requests, lambda k: f"{name}, batch {first + k + 1} of {count}")
        else:
            # Copied once an epoch and not once a batch: the host has no copy to wait for.
            placed_N = order_N.to(self._machine.device, non_blocking=True)
            batches = (placed_N[chosen] for chosen in slices)
        labelled_N = order_N if self._labels is None else order_N.cpu()
        for chosen, images in zip(slices, batches, strict=True):
            draws = draws_NVK if has_table else draws_NVK[order_N[chosen]]
            yield Batch(images, None if self._in_workers else draws, self._labels_of(labelled_N[chosen]))

    def _slices(self, first: int, count: int, size: int) -> list[slice]:
        """Where batches lie in their order; of an epoch's batches this rank's shares, where no size is named."""
        of_epoch, size = not size, size or self._config.batch_size
        whole = [slice(k * size, min((k + 1) * size, self.count)) for k in range(first, count)]
        return [share(batch, self._ranks) for batch in whole] if of_epoch else whole

    def _request(self, indices_B: Tensor, uniforms_NVK: Tensor) -> _Request:
        drawn = self._draws(uniforms_NVK[indices_B]).numpy() if self._in_workers else None
        return _Request(indices_B.numpy(), drawn)

    def _parameters(self, draws_BVK: Tensor) -> ViewParameters | Tensor:
        """What makes a batch's views, from uniforms; for augment=fused as rows of a table."""
        parameters = draw_parameters(self._draws(draws_BVK), self._recipe, *self._source_size)
        return parameters if self._fused is None else by_image(pack(parameters, self._recipe), len(draws_BVK))

    def _draws(self, uniforms_BVK: Tensor) -> Tensor:
        """The uniforms (V·B, K) of a batch's views; with `same_on_batch` the first image's stand for all."""
        if self._config.same_on_batch:
            uniforms_BVK = uniforms_BVK[:1].expand_as(uniforms_BVK)
        return view_major(uniforms_BVK)

    def _labels_of(self, indices_B: Tensor) -> Tensor | None:
        return None if self._labels is None else self._labels[indices_B]

    def views(self, batch: Batch, part: Part = unmeasured) -> Tensor:
        """The network's input of a batch: (V·B, 3, S, S) on the training device, normalised.

        float32; augment=fused stores bfloat16 where the network computes in it, rounded once after the last step.

        Args:
            batch: from `epoch` or `fixed_views`.
            part: times the copy, and the augmentation with the drawing of its parameters.
        """
        images, draws, _ = batch
        device, memory_format = self._machine.device, self._machine.memory_format
        has_table = draws is not None and draws.shape[2] == COLUMNS
        with part(COPY):
            if self._resident is None:
                images = images.to(device, non_blocking=True)
            elif not has_table:
                images = self._resident[images]
            if draws is None:
                return images.contiguous(memory_format=memory_format)
        with part(AUGMENTATION):
            if has_table:
                return self.fused_views(images, draws)
            parameters = self._parameters(draws)
            if isinstance(parameters, ViewParameters):
                views = augment_with_kornia(images, parameters, self._recipe, self._config.image_size)
                return views.contiguous(memory_format=memory_format)
            assert self._fused is not None
            rows_BVK = parameters.to(device, non_blocking=True)
            return self._fused(images.contiguous(), rows_BVK, torch.arange(len(images), device=device))
