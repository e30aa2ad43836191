"""Synthetic images of ten shapes, drawn from (split, index) by the program itself.

A shape differs from the others in its outline alone. Place, size, turn, colours, shading and noise are drawn from
the same distributions for every class, and all classes cover the same area at the same size, so that neither the mean
colour nor the place says which it is. The images are the same in every run, whatever its seed.

Pixels are computed with IEEE 754 basic operations only (see outlines.py) and random numbers with SplitMix64 in counter
mode, so an image has the same bits whatever the batch or the machine it is drawn on.
Legend: B images, S side, K random numbers of an image.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from trainer.data.fingerprint import of_texts
from trainer.data.outlines import OUTLINES, Floats
from trainer.data.split import Indices, Split, as_indices

SPLITS = ("train", "test")
CLASSES = tuple(outline.name for outline in OUTLINES)
COUNTS = {"train": 5000, "test": 2000}
"""Images of each split where no limit asks for another number."""

_VERSION = 1
"""Counts the changes of the drawing, so that runs on other pictures are told apart."""
_SCALE = (0.32, 0.44)
"""Smallest and largest square root of a shape's area, as a part of the image's side."""
_REACH = 1.0
"""Room that a shape of area 1 is given around its centre; the star's points reach to 0.943."""
_CONTRAST = (0.25, 0.50)
"""Smallest and largest difference in luma between shape and background."""
_COLOURFULNESS = 0.7
_SHADING = 0.3
"""Change of each colour channel across the image."""
_NOISE = 0.08
_LUMA = (0.299, 0.587, 0.114)
_TURN_STEPS = 4096
_CHUNK_IMAGES = 64
"""Images drawn at once, so that what is worked on stays in the processor's cache."""


class DrawnImages:
    """Shapes of one split, drawn each time they are taken."""

    def __init__(self, split: str, count: int, size: int) -> None:
        """Args: one of `SPLITS`, the number of images N, and their side S."""
        self._split = split
        self._count = count
        self._size = size

    def __len__(self) -> int:
        """Number of images N."""
        return self._count

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return 3, self._size, self._size

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S)."""
        indices_B = as_indices(indices).numpy()
        chunks = [indices_B[start : start + _CHUNK_IMAGES] for start in range(0, max(len(indices_B), 1), _CHUNK_IMAGES)]
        return torch.cat([torch.from_numpy(draw(self._split, chunk, self._size)) for chunk in chunks])


def open_split(name: str, size: int, *, per_class: int = 0) -> Split:
    """A split of shapes.

    Args:
        name: one of `SPLITS`.
        size: side S of the images in pixels.
        per_class: images of each class; 0 makes as many as `COUNTS` says.
    """
    count = per_class * len(CLASSES) or COUNTS[name]
    return Split(name, DrawnImages(name, count, size), torch.arange(count) % len(CLASSES), CLASSES)


def fingerprint() -> str:
    """SHA-256 over what the pictures depend on, in hexadecimal."""
    constants = (_VERSION, _SCALE, _REACH, _CONTRAST, _COLOURFULNESS, _SHADING, _NOISE)
    return of_texts(["shapes", *CLASSES, *map(str, constants)])


def draw(split: str, indices_B: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
    """Draw images; the label of index i is i mod 10.

    Args:
        split: one of `SPLITS`; each draws its own images.
        indices_B: which images, in any order.
        size: side S in pixels.

    Returns:
        uint8 (B, 3, S, S).
    """
    layout = _layout(split, indices_B)
    coverage_BHW = coverage(split, indices_B, size)
    x_HW, y_HW = _grid(size)
    noise_BCHW = _random(split, "noise", indices_B, 3 * size * size).reshape(-1, 3, size, size)
    images_BCHW = np.empty_like(noise_BCHW)
    for channel in range(3):
        shape_BHW, back_BHW = (_shaded(paint, channel, x_HW, y_HW) for paint in (layout.shape, layout.background))
        images_BCHW[:, channel] = back_BHW + (shape_BHW - back_BHW) * coverage_BHW
    images_BCHW += (noise_BCHW - np.float32(0.5)) * np.float32(2 * _NOISE)
    levels: npt.NDArray[np.uint8] = np.clip(images_BCHW * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return levels


def coverage(split: str, indices_B: npt.NDArray[np.int64], size: int) -> Floats:
    """How much of each pixel the shape covers, float32 (B, S, S), 0 to 1."""
    layout = _layout(split, indices_B)
    x_HW, y_HW = _grid(size)
    coverage_BHW = np.empty((len(indices_B), size, size), dtype=np.float32)
    for label, outline in enumerate(OUTLINES):
        rows = np.nonzero(indices_B % len(OUTLINES) == label)[0]
        centre_x, centre_y, scale, cosine, sine = (
            values[rows][:, None, None]
            for values in (layout.centre_x, layout.centre_y, layout.scale, layout.cosine, layout.sine)
        )
        unit = np.float32(math.sqrt(outline.area)) / scale
        dx, dy = x_HW - centre_x, y_HW - centre_y
        distance = outline.distance((dx * cosine + dy * sine) * unit, (dy * cosine - dx * sine) * unit)
        coverage_BHW[rows] = np.clip(np.float32(0.5) - distance / unit * np.float32(size), 0, 1)
    return coverage_BHW


@dataclass(frozen=True, slots=True)
class _Paint:
    """A colour that changes evenly across the image: (B, 3) in the middle, (B, 3) of change along (B,) a direction."""

    middle: Floats
    change: Floats
    cosine: Floats
    sine: Floats


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is drawn for each image, all float32 (B,); lengths are parts of the side, the origin is the middle."""

    centre_x: Floats
    centre_y: Floats
    scale: Floats
    cosine: Floats
    sine: Floats
    shape: _Paint
    background: _Paint


def _layout(split: str, indices_B: npt.NDArray[np.int64]) -> _Layout:
    """Draw everything but the class, which has no part in any of it."""
    u = iter(_random(split, "layout", indices_B, 22).T)
    scale = _between(next(u), *_SCALE)
    room = np.maximum(np.float32(0.5) - scale * np.float32(_REACH), np.float32(0))
    centre_x, centre_y = (_between(next(u), -1, 1) * room for _ in range(2))
    cosine, sine = _direction(next(u))
    # Which of the two is the lighter one is drawn, so that lightness does not tell the shape from the background.
    half_contrast = _between(next(u), *_CONTRAST) * np.where(next(u) < 0.5, np.float32(0.5), np.float32(-0.5))
    middle = _between(next(u), 0.4, 0.6)
    shape, background = (_paint(luma, u) for luma in (middle + half_contrast, middle - half_contrast))
    return _Layout(centre_x, centre_y, scale, cosine, sine, shape, background)


def _paint(luma: Floats, u: Iterator[Floats]) -> _Paint:
    """A colour of the luma given; takes seven random numbers."""
    red, green, blue = (_between(next(u), -_COLOURFULNESS / 2, _COLOURFULNESS / 2) for _ in range(3))
    own = red * np.float32(_LUMA[0]) + green * np.float32(_LUMA[1]) + blue * np.float32(_LUMA[2])
    middle = np.stack([channel - own + luma for channel in (red, green, blue)], axis=1)
    change = np.stack([_between(next(u), -_SHADING / 2, _SHADING / 2) for _ in range(3)], axis=1)
    return _Paint(middle, change, *_direction(next(u)))


def _shaded(paint: _Paint, channel: int, x_HW: Floats, y_HW: Floats) -> Floats:
    """One channel of a paint over the image, float32 (B, S, S)."""
    middle, change, cosine, sine = (
        values[:, None, None]
        for values in (paint.middle[:, channel], paint.change[:, channel], paint.cosine, paint.sine)
    )
    return middle + change * (x_HW * cosine + y_HW * sine)


def _grid(size: int) -> tuple[Floats, Floats]:
    """Coordinates (x, y) of the pixels' middles, float32 (S, S) each, from -0.5 to 0.5."""
    along = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    return np.broadcast_to(along, (size, size)), np.broadcast_to(along[:, None], (size, size))


_ANGLES = np.arange(_TURN_STEPS) * (math.tau / _TURN_STEPS)
_COSINES, _SINES = np.cos(_ANGLES).astype(np.float32), np.sin(_ANGLES).astype(np.float32)


def _direction(u: Floats) -> tuple[Floats, Floats]:
    """Cosine and sine of a part of a turn, from a table so that they do not depend on the batch."""
    steps = (u * np.float32(_TURN_STEPS)).astype(np.int64)
    return _COSINES[steps], _SINES[steps]


def _between(u: Floats, low: float, high: float) -> Floats:
    return np.float32(low) + u * np.float32(high - low)


def _random(split: str, purpose: str, indices_B: npt.NDArray[np.int64], count: int) -> Floats:
    """Uniform numbers of [0, 1) that belong to (split, purpose, index), float32 (B, K).

    SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators") at counter K of a stream
    that each image has to itself.
    """
    key = np.uint64(int.from_bytes(hashlib.sha256(f"shapes {split} {purpose}".encode()).digest()[:8], "little"))
    streams_B1 = _mix(key + _GOLDEN * indices_B.astype(np.uint64)[:, None])
    words_BK = _mix(streams_B1 + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64))
    # The upper 24 bits, all that a float32 below 1 can hold evenly.
    return (words_BK >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finaliser; arithmetic is modulo 2^64."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
