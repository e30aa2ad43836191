"""Where a captured step finds its batch: buffers on the device whose addresses and shapes stay for good."""

from typing import Protocol

import torch
from torch import Tensor

from trainer.config import PretrainConfig
from trainer.device import Machine
from trainer.loader import Batch, ViewLoader
from trainer.parts import COPY, Part, unmeasured


class Feed(Protocol):
    """Holds the batch of a step."""

    @property
    def labels(self) -> Tensor | None:
        """Of the batch, int64 (B,), where the method is supervised."""
        ...

    def rehearse(self) -> None:
        """Hold a batch that stands for any other, to capture a step with."""
        ...

    def load(self, batch: Batch, part: Part = unmeasured) -> Tensor | None:
        """Hold a batch, by the host; or give the views of one that has another shape, and hold it not.

        Args:
            batch: of the loader.
            part: times the copy, and the augmentation if it is not what `views` does.
        """
        ...

    def views(self) -> Tensor:
        """The views of the batch that is held: work of the device alone."""
        ...


class ViewsFeed:
    """Holds finished views, which were made outside of the graph: by workers, by Kornia, or of images of the host."""

    def __init__(self, loader: ViewLoader, config: PretrainConfig, machine: Machine) -> None:
        """Args: who makes the views of a batch, the settings, and the device."""
        self._loader = loader
        side, views = config.image_size, config.views * config.batch_size
        # What the fused augmentation stores (trainer.fused.views), so that nothing is converted on the way.
        dtype = machine.autocast_dtype if config.augment == "fused" else None
        held = torch.zeros(views, 3, side, side, dtype=dtype or torch.float32, device=machine.device)
        self._held = held.contiguous(memory_format=machine.memory_format)
        self.labels = _labels(config, machine)

    def rehearse(self) -> None:
        """As in `Feed`: noise."""
        self._held.copy_(torch.randn(self._held.shape, generator=torch.Generator().manual_seed(0)))

    def load(self, batch: Batch, part: Part = unmeasured) -> Tensor | None:
        """As in `Feed`."""
        views = self._loader.views(batch, part)
        if views.shape != self._held.shape:
            return views
        self._held.copy_(views, non_blocking=True)
        _hold_labels(self.labels, batch)
        return None

    def views(self) -> Tensor:
        """As in `Feed`."""
        return self._held


class TableFeed:
    """Holds the parameters of a whole epoch, and which of the images make the batch; they are on the device already.

    So the views are made inside of the graph, and all that is brought for a step are B numbers.
    """

    def __init__(self, loader: ViewLoader, config: PretrainConfig, machine: Machine, *, epoch: int) -> None:
        """Args: the loader, whose batches are numbers and a table, the settings, the device, and the epoch whose
        parameters are held first."""
        self._loader = loader
        self._source = loader.epoch_tables(epoch)[1]
        self._table = self._source.clone()
        self._numbers_B = torch.zeros(config.batch_size, dtype=torch.int64, device=machine.device)
        self.labels = _labels(config, machine)

    def rehearse(self) -> None:
        """As in `Feed`: the first images, again and again where a batch has more than there are."""
        self._numbers_B.copy_(torch.arange(len(self._numbers_B)) % self._loader.count)

    def load(self, batch: Batch, part: Part = unmeasured) -> Tensor | None:
        """As in `Feed`."""
        if batch.images.shape != self._numbers_B.shape:
            return self._loader.views(batch, part)
        with part(COPY):
            if batch.draws is not self._source:
                assert isinstance(batch.draws, Tensor)
                self._source = batch.draws
                self._table.copy_(self._source, non_blocking=True)
            self._numbers_B.copy_(batch.images, non_blocking=True)
            _hold_labels(self.labels, batch)
        return None

    def views(self) -> Tensor:
        """As in `Feed`."""
        return self._loader.fused_views(self._numbers_B, self._table)


def make_feed(loader: ViewLoader, config: PretrainConfig, machine: Machine, *, epoch: int = 1) -> Feed:
    """The feed that lets a graph do as much of a step as it can.

    Args:
        loader: of the batches.
        config: the settings.
        machine: the device.
        epoch: that of the first step, so that the parameters of no other one are drawn.
    """
    if config.cache == "vram" and config.augment == "fused":
        return TableFeed(loader, config, machine, epoch=epoch)
    return ViewsFeed(loader, config, machine)


def _labels(config: PretrainConfig, machine: Machine) -> Tensor | None:
    if not config.is_supervised:
        return None
    return torch.zeros(config.batch_size, dtype=torch.int64, device=machine.device)


def _hold_labels(held: Tensor | None, batch: Batch) -> None:
    if held is not None:
        assert batch.labels is not None
        held.copy_(batch.labels, non_blocking=True)
