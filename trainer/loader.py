"""Batches of an epoch, from any batch of it, in an order that is a function of (seed, epoch).

The trajectory does not depend on how images are loaded: the permutation and every augmentation draw belong to
(seed, epoch, index), the workers hold no random state, and a loader that starts at batch k simply begins its list
there. Shapes: B images, V views, C H W image, K uniforms of a view.
"""

import ctypes
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, ViewParameters, draw_parameters, view_major
from trainer.augment_kornia import augment_batch as augment_with_kornia
from trainer.augment_torchvision import augment_batch as augment_with_torchvision
from trainer.config import PretrainConfig
from trainer.data.split import ImageSource
from trainer.device import Machine
from trainer.randomness import permutation, uniforms

T = TypeVar("T")
_WORKER_TIMEOUT_SECONDS = 120
_FEWEST_TO_COMPARE = 4
"""Images below which equal draws may be chance."""
_PR_SET_PDEATHSIG = 1


class Batch(NamedTuple):
    """What the loader gives for a step; `ViewLoader.views` turns it into the network's input."""

    images: Tensor
    """uint8 (B, 3, H, W), or the finished views where the workers made them."""
    parameters: ViewParameters | None
    """Of the views that are still to be made."""
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

    def __getitem__(self, request: _Request) -> Tensor:
        """uint8 (B, 3, H, W), or float32 (V·B, 3, S, S) where the request carries uniforms."""
        images_BCHW = self._images.take(torch.from_numpy(request.indices))
        if request.uniforms is None:
            return images_BCHW
        uniforms_MK = torch.from_numpy(request.uniforms)
        parameters = draw_parameters(uniforms_MK, self._recipe, *images_BCHW.shape[2:])
        return augment_with_torchvision(images_BCHW, parameters, self._recipe, self._size)


class _Schedule(Sampler[_Request]):
    """The requests of the epoch that is under way; a DataLoader with lasting workers reads it anew each epoch."""

    def __init__(self) -> None:
        self.requests: list[_Request] = []

    def __iter__(self) -> Iterator[_Request]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


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
    ) -> None:
        """Args: what is loaded, the settings, the device, how many worker processes load it, and the labels (N,) that
        come along."""
        self._labels = labels
        self._config = config
        self._machine = machine
        self._recipe = AugmentRecipe.from_config(config)
        self._in_workers = config.augment == "torchvision"
        self.count = len(images)
        self._source_size = images.shape[1:]
        self._resident: Tensor | None = None
        self._schedule = _Schedule()
        self._loader: DataLoader[Tensor] | None = None
        if config.cache == "vram":
            self._resident = images.take(range(self.count)).to(machine.device)
        else:
            self._loader = _quietly(lambda: self._make_loader(images, workers))

    def close(self) -> None:
        """End the workers. A process that leaves without this waits for them in vain: they ignore SIGTERM."""
        self._loader = None

    def _make_loader(self, images: ImageSource, workers: int) -> DataLoader[Tensor]:
        config = self._config
        some = workers > 0
        return DataLoader(
            _Batches(images, self._recipe, config.image_size),
            sampler=self._schedule,
            batch_size=None,
            num_workers=workers,
            collate_fn=_as_it_is,
            pin_memory=config.pin_memory and self._machine.is_cuda,
            persistent_workers=config.persistent_workers and some,
            prefetch_factor=config.prefetch_factor if some else None,
            timeout=_WORKER_TIMEOUT_SECONDS if some else 0,
            worker_init_fn=_start_worker,
            # Without its own generator an iterator draws its base seed from the global one (Megatron-Bridge #5257).
            generator=torch.Generator(),
        )

    def _load(self, requests: list[_Request]) -> Iterator[Tensor]:
        """What the workers answer to these requests, in order."""
        assert self._loader is not None
        self._schedule.requests = requests
        return _quietly(self._loader.__iter__)

    def steps_per_epoch(self) -> int:
        """Batches of a whole epoch."""
        size = self._config.batch_size
        return self.count // size if self._config.drop_last else -(-self.count // size)

    def images_per_epoch(self) -> int:
        """Images of a whole epoch, those of a short last batch that is left out not counted."""
        return self.steps_per_epoch() * self._config.batch_size if self._config.drop_last else self.count

    def epoch(self, epoch: int, *, first_batch: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from one of them on.

        Args:
            epoch: counted from 1.
            first_batch: how many batches to leave out, because they were trained on before an interruption.
        """
        config = self._config
        order_N = permutation(config.seed, epoch, self.count)
        uniforms_NVK = uniforms(config.seed, epoch, self.count, config.views, UNIFORMS_PER_VIEW)
        yield from self._batches(order_N, uniforms_NVK, first_batch, self.steps_per_epoch())

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

    def _batches(self, order_N: Tensor, uniforms_NVK: Tensor, first: int, count: int, size: int = 0) -> Iterator[Batch]:
        size = size or self._config.batch_size
        chosen = [order_N[k * size : (k + 1) * size] for k in range(first, count)]
        if self._in_workers:
            requests = [_Request(i.numpy(), self._draws(uniforms_NVK[i]).numpy()) for i in chosen]
            for indices_B, views in zip(chosen, self._load(requests), strict=True):
                yield Batch(views, None, self._labels_of(indices_B))
            return
        if self._resident is None:
            batches = self._load([_Request(indices_B.numpy(), None) for indices_B in chosen])
        else:
            batches = map(self._gather, chosen)
        for indices_B, images in zip(chosen, batches, strict=True):
            parameters = draw_parameters(self._draws(uniforms_NVK[indices_B]), self._recipe, *self._source_size)
            yield Batch(images, parameters, self._labels_of(indices_B))

    def _draws(self, uniforms_BVK: Tensor) -> Tensor:
        """The uniforms (V·B, K) of a batch's views; with `same_on_batch` the first image's stand for all."""
        if self._config.same_on_batch:
            uniforms_BVK = uniforms_BVK[:1].expand_as(uniforms_BVK)
        return view_major(uniforms_BVK)

    def _labels_of(self, indices_B: Tensor) -> Tensor | None:
        return None if self._labels is None else self._labels[indices_B]

    def _gather(self, indices_B: Tensor) -> Tensor:
        assert self._resident is not None
        return self._resident[indices_B.to(self._machine.device, non_blocking=True)]

    def views(self, batch: Batch) -> Tensor:
        """The network's input of a batch: float32 (V·B, 3, S, S) on the training device, normalised."""
        images, parameters, _ = batch
        images = images.to(self._machine.device, non_blocking=True)
        if parameters is not None:
            images = augment_with_kornia(images, parameters, self._recipe, self._config.image_size)
        return images.contiguous(memory_format=self._machine.memory_format)


def _quietly(action: Callable[[], T]) -> T:
    """Do it without torch's warning of more workers than cores: a person asked for them, and whether they are too
    many is measured and not guessed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        return action()


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_worker: int) -> None:
    """Leave ending to the trainer, and never outlive it.

    A supervisor's SIGTERM reaches every process of a job. A worker that died of it would make torch raise in the
    trainer at any point of a step, before the step that is under way could be finished and saved.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
