"""A benchmark made small enough for a small machine: images, model, data and batches shrink together."""

from dataclasses import replace
from typing import Any

from trainer.config import RESNETS, PretrainConfig
from trainer.settings import fields_of

_FEWEST_IMAGES = 128
_SMALLEST_BATCH = 8
_SMALLEST_SIDE = 16
_SIDE_STEP = 8
_COUNTS = {
    ("stl10", "train"): 5_000,
    ("stl10", "test"): 8_000,
    ("stl10", "unlabeled"): 100_000,
    ("stl10", "train+unlabeled"): 105_000,
    ("cifar10", "train"): 50_000,
    ("cifar10", "test"): 10_000,
    ("shapes", "train"): 5_000,
    ("shapes", "test"): 2_000,
}
"""Images of the splits whose number is known without reading them."""


def scaled(base: PretrainConfig, scale: float) -> PretrainConfig:
    """Smaller images, a narrower model, fewer images and smaller batches.

    The side is a multiple of 8 and at least 16, the width multiplier at least 0.125 (ResNets that have one), a batch at
    least 8 images. Images and batches shrink alike, so that an epoch keeps its number of steps.

    Args:
        base: the settings at full size.
        scale: up to 1; 1 is the base itself.
    """
    if scale == 1:
        return base
    changes: dict[str, Any] = {
        "image_size": _side(base.image_size, scale),
        "batch_size": scaled_batch(base.batch_size, scale),
        "limit_images": _images(base, scale),
    }
    if _has_width(base):
        low = next(f.setting.low for f in fields_of(PretrainConfig) if f.name == "width_multiplier")
        assert low is not None
        changes["width_multiplier"] = min(base.width_multiplier, max(low, round(base.width_multiplier * scale, 3)))
    return replace(base, **changes)


def scaled_batch(batch_size: int, scale: float) -> int:
    """A batch at a scale, in images; never larger than it was."""
    return min(batch_size, max(_SMALLEST_BATCH, round(batch_size * scale)))


def scale_words(base: PretrainConfig, scale: float) -> str:
    """What `scaled` does, in a sentence for the head of a table; empty where the scale is 1.

    Args:
        base: the settings at full size.
        scale: up to 1.
    """
    if scale == 1:
        return ""
    small = scaled(base, scale)
    width = f"width × {small.width_multiplier:g}" if _has_width(base) else f"{base.backbone} as it is"
    images = f"{small.limit_images:,} images" if small.limit_images else "all images (their number is not known)"
    return (
        f"Scale {scale:g}: {small.image_size} instead of {base.image_size} pixels, {width}, {images}, batches of "
        f"{small.batch_size} instead of {base.batch_size}; times are not those of the full size."
    )


def _side(side: int, scale: float) -> int:
    return min(side, max(_SMALLEST_SIDE, round(side * scale / _SIDE_STEP) * _SIDE_STEP))


def _images(base: PretrainConfig, scale: float) -> int:
    """The limit at that scale; 0 where nobody knows how many there are."""
    split = base.split
    if split == "auto":
        split = "unlabeled" if base.dataset == "stl10" and not base.is_supervised else "train"
    count = base.limit_images or _COUNTS.get((base.dataset, split), 0)
    return min(count, max(_FEWEST_IMAGES, round(count * scale)))


def _has_width(base: PretrainConfig) -> bool:
    return base.backbone in RESNETS and base.backbone != "resnet-narrow"
