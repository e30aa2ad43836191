"""A sheet of the views that training makes of its images.

Image i's views in epoch e are drawn from the uniforms that belong to (seed, e, i), here as in training and by the same
code. Which uniforms these are depends on how many views a batch holds (--views), so more of them are taken from the
epochs that follow, and not from a longer row of one epoch: of six views where a batch holds two, the first two are
those of epoch 1 and the last two those of epoch 3.

Shape suffixes: B images, V views of each, C H W an image, K uniforms of a view.
"""

import dataclasses
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from trainer import augment, augment_kornia, augment_torchvision
from trainer.config import PretrainConfig
from trainer.data import Report, load
from trainer.pictures import sheet
from trainer.randomness import permutation, uniforms


@dataclass(frozen=True, slots=True)
class Preview:
    """Images and their views, as they are shown."""

    images_BCHW: Tensor
    """uint8 (B, 3, S, S), the images themselves."""
    views_BVCHW: Tensor
    """uint8 (B, V, 3, S, S), rounded to levels."""
    captions: tuple[str, ...]
    """Index and class of each image."""
    headings: tuple[str, ...]
    """Epoch and number of each view."""
    split: str
    """The split that the images are of."""

    @property
    def rows(self) -> list[list[Tensor]]:
        """Each image with its views after it, uint8 (3, S, S)."""
        return [[image, *views] for image, views in zip(self.images_BCHW, self.views_BVCHW, strict=True)]

    def sheet(self) -> Image.Image:
        """The whole as a picture."""
        return sheet(self.rows, captions=self.captions, headings=("image", *self.headings))


def preview_sheet(config: PretrainConfig, images: int, views: int) -> Image.Image:
    """A picture of the first images of the split that a run trains on, each with views after it.

    Raises:
        ConfigError: a setting does not fit the data set.
        DataError: the data are missing or broken, or can't be downloaded.
    """
    return make_preview(config, images, views).sheet()


def make_preview(
    config: PretrainConfig, images: int, views: int, report: Report = lambda _kind, _sentence: None
) -> Preview:
    """Load the first images of the split that a run trains on, and draw views of them, all on the CPU.

    Args:
        config: the run's settings.
        images: how many images, or all of them where the split has fewer.
        views: how many views of each: those of epoch 1, then those of epoch 2, and so on.
        report: told the kind and the sentence about each file that is left out.

    Raises:
        ConfigError: a setting does not fit the data set.
        DataError: the data are missing or broken, or can't be downloaded.
    """
    split = load(_of_few(config, images), report).pretrain
    images_BCHW = split.images.take(range(min(images, len(split))))
    names = [split.classes[label] if label >= 0 else "" for label in split.labels[: len(images_BCHW)].tolist()]
    epochs = range(1, -(-views // config.views) + 1)
    drawn = [draw_views(config, images_BCHW, epoch, total=len(split)) for epoch in epochs]
    return Preview(
        images_BCHW=images_BCHW,
        views_BVCHW=torch.cat(drawn, dim=1)[:, :views],
        captions=tuple(f"{index} {name}".strip() for index, name in enumerate(names)),
        headings=tuple(f"epoch {epoch} view {view}" for epoch in epochs for view in range(1, config.views + 1))[:views],
        split=split.name,
    )


def draw_views(config: PretrainConfig, images_u8_BCHW: Tensor, epoch: int, *, total: int) -> Tensor:
    """The views of a split's first images in an epoch, as training sees them, rounded to 256 levels.

    Args:
        config: the run's settings.
        images_u8_BCHW: uint8 (B, 3, H, W), images 0 … B - 1 of the split, on the CPU.
        epoch: counted from 1.
        total: images of the split, on which their order in the epoch depends.

    Returns:
        uint8 (B, V, 3, S, S), V being the settings' views and S their image size.
    """
    count = len(images_u8_BCHW)
    recipe = augment.AugmentRecipe.from_config(config)
    uniforms_NVK = uniforms(config.seed, epoch, total, config.views, augment.UNIFORMS_PER_VIEW)
    uniforms_BVK = uniforms_NVK[_whose_draws(config, epoch, count, total)]
    parameters = augment.draw_parameters(augment.view_major(uniforms_BVK), recipe, *images_u8_BCHW.shape[2:])
    way = augment_torchvision if config.augment == "torchvision" else augment_kornia
    views_MCHW = way.augment_batch(images_u8_BCHW, parameters, recipe, config.image_size)
    mean_311, deviation_311 = torch.tensor(augment.NORMALISATIONS[recipe.normalisation])[:, :, None, None]
    levels_MCHW = ((views_MCHW * deviation_311 + mean_311) * 255).round().clamp(0, 255)
    levels_BVCHW: Tensor = levels_MCHW.to(torch.uint8).unflatten(0, (config.views, count)).transpose(0, 1)
    return levels_BVCHW


def _whose_draws(config: PretrainConfig, epoch: int, count: int, total: int) -> Tensor:
    """The images whose draws the first `count` ones get, int64 (count,): their own, or the first's of their batch."""
    if not config.same_on_batch:
        return torch.arange(count)
    order_N = permutation(config.seed, epoch, total)
    places_B = order_N.argsort()[:count]
    return order_N[places_B // config.batch_size * config.batch_size]


def _of_few(config: PretrainConfig, images: int) -> PretrainConfig:
    """Settings that open no more of a data set than its first images need, and copy none of it to memory.

    The first n images of a split are among the first n of their classes, so both limits can be lowered to n, and what
    is left begins with the same images. Which images are held out, and who is in a batch, depends on all of them.
    """
    config = dataclasses.replace(config, cache="none", num_workers=0)
    if config.is_supervised or config.same_on_batch:
        return config

    def lowered(limit: int) -> int:
        return min(limit or images, images)

    return dataclasses.replace(
        config,
        limit_images=lowered(config.limit_images),
        limit_per_class=lowered(config.limit_per_class),
        limit_test_per_class=lowered(config.limit_test_per_class),
    )
