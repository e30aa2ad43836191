"""Epochs of SimCLR as others write them: the notes', the UvA tutorial's, Kornia tuned, and lightly's example.

Each way is as its source has it, or faster: the tutorial's own Trainer, logging and checkpoints are left out, and all
have cuDNN look for its fastest kernels. The network is the same for all: a ResNet and a head of two layers.

Sources: UvA tutorial 17 (SimCLR.ipynb), whose recipe the notes follow; Kornia's RandomX modules as its documentation
composes them; lightly's examples/pytorch/simclr.py. The notes give figures and no code: what is here is what they say.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.side_by_side import synchronise
from trainer.config import PretrainConfig
from trainer.model import build_model

Views = Callable[[Any], Tensor]
"""From what the loader gives to the views (2·B, 3, S, S) on the device."""


@dataclass
class Epoch:
    """What an epoch took and gave."""

    seconds: float
    """Of a whole epoch, scaled up where only its first images were used."""
    images_per_second: float
    loss: float
    acc_top1: float
    """Means over the last steps: a way that does not learn would show here."""


class Pictures(Dataset[Any]):
    """Images one at a time as torchvision's STL10 gives them: a row of one numpy array, made a PIL image."""

    def __init__(self, images_NCHW: np.ndarray[Any, Any] | list[Any], transform: Callable[[Any], Any]) -> None:
        """Args: uint8 (N, 3, H, W), or a list that holds PIL images; and what is done to one."""
        self._images = images_NCHW
        self._transform = transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Any:
        image = self._images[index]
        if isinstance(image, np.ndarray):
            image = Image.fromarray(np.transpose(image, (1, 2, 0)))
        return self._transform(image)


class TwoViews:
    """The tutorial's ContrastiveTransformations."""

    def __init__(self, size: int) -> None:
        """Args: side of the views in pixels."""
        self.steps = [
            transforms.RandomHorizontalFlip(),
            transforms.RandomResizedCrop(size=size),
            transforms.RandomApply([transforms.ColorJitter(0.5, 0.5, 0.5, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.GaussianBlur(kernel_size=max(3, round(0.1 * size) // 2 * 2 + 1)),
            transforms.ToTensor(),
            transforms.Normalize((0.5,), (0.5,)),
        ]
        self._one = transforms.Compose(self.steps)

    def __call__(self, image: Any) -> list[Tensor]:
        return [self._one(image), self._one(image)]


def broadcast_loss(z: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """InfoNCE as the tutorial writes it, with its acc_top1; z (2·N, D)."""
    similarity = F.cosine_similarity(z[:, None, :], z[None, :, :], dim=-1)
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity.masked_fill_(own, -9e15)
    positive = own.roll(shifts=len(z) // 2, dims=0)
    similarity = similarity / temperature
    loss = (-similarity[positive] + torch.logsumexp(similarity, dim=-1)).mean()
    joined = torch.cat([similarity[positive][:, None], similarity.masked_fill(positive, -9e15)], dim=-1)
    place = joined.argsort(dim=-1, descending=True).argmin(dim=-1)
    return loss, (place == 0).float().mean()


def matmul_loss(z: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The same by one matrix product and cross-entropy."""
    z = F.normalize(z.float(), dim=1)
    similarity = (z @ z.T).div(temperature)
    similarity.fill_diagonal_(-torch.inf)
    target = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    return F.cross_entropy(similarity, target), (similarity.argmax(dim=1) == target).float().mean()


def kornia_recipe(size: int) -> nn.Module:
    """The tutorial's recipe of Kornia's own modules, on float images in [0, 1]."""
    import kornia.augmentation as K

    blur = max(3, round(0.1 * size) // 2 * 2 + 1)
    return nn.Sequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomResizedCrop((size, size), scale=(0.08, 1.0)),
        K.ColorJitter(0.5, 0.5, 0.5, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((blur, blur), (0.1, 2.0), p=1.0),
        K.Normalize(torch.tensor(0.5), torch.tensor(0.5)),
    )


class Theirs:
    """A plain loop over a DataLoader: views, network, loss, backward, optimiser."""

    def __init__(
        self,
        loader: Any,
        views: Views,
        config: PretrainConfig,
        device: torch.device,
        *,
        whole: int,
        tuned: bool = False,
        loss: Callable[[Tensor, float], tuple[Tensor, Tensor]] = broadcast_loss,
        compiled: bool = False,
    ) -> None:
        """Args: batches, what makes views of them, the settings, the device, the images of a whole epoch, whether to
        use bfloat16 and channels_last on CUDA and the fused optimiser, the loss, and whether to compile the network."""
        torch.manual_seed(config.seed)
        self._loader, self._views, self._config, self._device = loader, views, config, device
        self._whole, self._loss = whole, loss
        model = build_model(config).to(device)
        self._autocast = tuned and device.type == "cuda"
        self._format = torch.channels_last if self._autocast else torch.contiguous_format
        self._model = model.to(memory_format=self._format)
        self._network: Callable[[Tensor], Tensor] = torch.compile(model, dynamic=False) if compiled else model
        fused = {"fused": True} if tuned else {}
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, **fused
        )

    def __call__(self) -> Epoch:
        """Run an epoch."""
        use_fast_kernels()
        self._model.train()
        figures = []
        synchronise(self._device)
        begun = time.perf_counter()
        first = begun
        images = 0
        for number, batch in enumerate(self._loader):
            if number == 0:
                first = time.perf_counter()
            views = self._views(batch).contiguous(memory_format=self._format)
            with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._autocast):
                z = self._network(views)
            loss, accuracy = self._loss(z, self._config.temperature)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            figures.append(torch.stack([loss.detach(), accuracy]))
            images += len(views) // 2
        synchronise(self._device)
        return summary(figures, begun, first, images, self._whole)


def summary(figures: Sequence[Tensor], begun: float, first: float, images: int, whole: int) -> Epoch:
    """An epoch's result; what was trained on a part of its images is scaled up, its start counted once."""
    ended = time.perf_counter()
    seconds = (first - begun) + (ended - first) * (whole / images)
    last = torch.stack(list(figures)[-10:]).mean(0)
    return Epoch(seconds, whole / seconds, float(last[0]), float(last[1]))


def use_fast_kernels() -> None:
    """What a run that asks for no determinism has; our own ways set the same through their settings."""
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    torch.backends.cudnn.benchmark = True


def _loader(dataset: Dataset[Any], config: PretrainConfig, workers: int) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def tutorial(
    images: np.ndarray[Any, Any] | list[Any], config: PretrainConfig, device: torch.device, whole: int, workers: int
) -> Theirs:
    """torchvision per image in the workers, float32, the broadcast loss. The tutorial has a worker a CPU."""

    def views(batch: list[Tensor]) -> Tensor:
        return torch.cat(batch).to(device, non_blocking=True)

    loader = _loader(Pictures(images, TwoViews(config.image_size)), config, workers)
    return Theirs(loader, views, config, device, whole=whole)


def pictures(images_NCHW: np.ndarray[Any, Any]) -> list[Image.Image]:
    """A list of PIL images: a cache as one writes it first."""
    return [Image.fromarray(np.transpose(image, (1, 2, 0))) for image in images_NCHW]


def notes_kornia(
    images: np.ndarray[Any, Any], config: PretrainConfig, device: torch.device, whole: int, workers: int
) -> Theirs:
    """Single images by workers, one Kornia call per view on the device, float32."""
    augment = kornia_recipe(config.image_size).to(device)

    def views(batch: Tensor) -> Tensor:
        with torch.no_grad():
            x = batch.to(device, non_blocking=True)
            return torch.cat([augment(x), augment(x)])

    loader = _loader(Pictures(images, transforms.ToTensor()), config, workers)
    return Theirs(loader, views, config, device, whole=whole)


class _Blocks:
    """Whole batches of uint8, gathered from one tensor where it lies."""

    def __init__(self, images_NCHW: Tensor, batch_size: int) -> None:
        self._images, self._size = images_NCHW, batch_size

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self._images), device=self._images.device)
        for start in range(0, len(order) - self._size + 1, self._size):
            yield self._images[order[start : start + self._size]]


def kornia_tuned(
    images: np.ndarray[Any, Any],
    config: PretrainConfig,
    device: torch.device,
    whole: int,
    *,
    compiled: bool,
    compiled_views: bool = False,
) -> Theirs:
    """As fast as Kornia goes: images resident, both views in one call, bf16 and channels_last on CUDA, matmul loss."""
    augment = kornia_recipe(config.image_size).to(device)
    call = torch.compile(augment) if compiled_views else augment

    def views(batch: Tensor) -> Tensor:
        with torch.no_grad():
            x = batch.to(device, non_blocking=True).float().div_(255)
            result: Tensor = call(torch.cat([x, x]))
            return result

    blocks = _Blocks(torch.from_numpy(images).to(device), config.batch_size)
    return Theirs(blocks, views, config, device, whole=whole, tuned=True, loss=matmul_loss, compiled=compiled)


def lightly_example(
    images: np.ndarray[Any, Any], config: PretrainConfig, device: torch.device, whole: int, workers: int
) -> Theirs:
    """lightly's SimCLR example: SimCLRTransform in the workers, NTXentLoss, float32. Raises ImportError without it."""
    from lightly.loss import NTXentLoss
    from lightly.transforms import SimCLRTransform

    recipe = SimCLRTransform(
        input_size=config.image_size,
        cj_prob=0.8,
        cj_strength=1.0,
        cj_bright=0.5,
        cj_contrast=0.5,
        cj_sat=0.5,
        cj_hue=0.1,
        min_scale=0.08,
        random_gray_scale=0.2,
        gaussian_blur=1.0,
        vf_prob=0.0,
        normalize={"mean": [0.5] * 3, "std": [0.5] * 3},
    )
    criterion = NTXentLoss(temperature=config.temperature)

    def loss(z: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
        z0, z1 = z.chunk(2)
        with torch.no_grad():
            accuracy = matmul_loss(z, temperature)[1]
        return criterion(z0, z1), accuracy

    def views(batch: list[Tensor]) -> Tensor:
        return torch.cat(batch).to(device, non_blocking=True)

    loader = _loader(Pictures(images, recipe), config, workers)
    return Theirs(loader, views, config, device, whole=whole, loss=loss)


def usable_cpus() -> int:
    """What the tutorial takes for its number of workers."""
    return len(os.sched_getaffinity(0))
