"""Named splits of images and labels, and the ways in which images are held.

Legend: N images of a split, B images taken at once, C channels, H height, W width, S the side asked for.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torchvision.transforms.v2 import functional as transforms

from trainer.errors import ConfigError

CHUNK_IMAGES = 256
"""Images that are read at once where a whole split is."""
SHARED_MEMORY = Path("/dev/shm")

Indices = Sequence[int] | torch.Tensor
Check = Callable[[], None]
"""Called between the chunks of long work; it may raise to stop it."""


def go_on() -> None:
    """The check of those whom nothing stops."""


class ImageSource(Protocol):
    """Images of one size that can be taken by index, in any order and any number of times.

    A source can be pickled and forked, so that loader workers may hold it. What `take` returns for an image does not
    depend on the other images taken with it.
    """

    def __len__(self) -> int:
        """Number of images N."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        ...

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S), in memory that the caller may write to."""
        ...


@dataclass(frozen=True, slots=True)
class Split:
    """A named part of a data set."""

    name: str
    images: ImageSource
    labels: torch.Tensor
    """int64 (N,), -1 where there is none."""
    classes: tuple[str, ...]
    """Class names by label; empty where a data set names none."""

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.images)

    def subset(self, indices: torch.Tensor) -> "Split":
        """The split's images of those indices (int64), as a view."""
        return Split(self.name, SubsetImages(self.images, indices), self.labels[indices], self.classes)

    def first(self, count: int) -> "Split":
        """The first `count` images; the split itself where it has no more, or where `count` is 0."""
        return self if count == 0 or count >= len(self) else self.subset(torch.arange(count))

    def first_of_each_class(self, count: int) -> "Split":
        """The first `count` images of each class, in the split's order; the split itself where `count` is 0."""
        if count == 0:
            return self
        kept = [torch.nonzero(self.labels == label).flatten()[:count] for label in range(len(self.classes))]
        return self.subset(torch.cat(kept).sort().values)


def join(name: str, parts: Sequence[Split]) -> Split:
    """The images of several splits as one, the first split's classes standing for all."""
    images = JoinedImages([part.images for part in parts])
    return Split(name, images, torch.cat([part.labels for part in parts]), parts[0].classes)


def as_indices(indices: Indices) -> torch.Tensor:
    """Indices as an int64 tensor (B,) on the CPU."""
    return torch.as_tensor(indices, dtype=torch.int64, device="cpu")


def resize(images_BCHW: torch.Tensor, size: int) -> torch.Tensor:
    """Square uint8 images at another size, bilinear with antialias.

    torch resizes uint8 in fixed point, so an image comes out the same whatever the batch it is in.
    """
    if images_BCHW.shape[-2:] == (size, size):
        return images_BCHW
    resized: torch.Tensor = transforms.resize(images_BCHW, [size, size], antialias=True)
    return resized


class TensorImages:
    """Images in memory, uint8 (N, 3, H, H)."""

    def __init__(self, images_NCHW: torch.Tensor, size: int | None = None) -> None:
        """Args: the images, and the side at which they are taken (their own by default)."""
        self.tensor = images_NCHW
        self._size = size or images_NCHW.shape[-1]

    def __len__(self) -> int:
        """Number of images N."""
        return len(self.tensor)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return 3, self._size, self._size

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S)."""
        return resize(self.tensor[as_indices(indices)], self._size)

    def is_ready(self, *, shared: bool) -> bool:
        """Whether images need no resizing and, where that is asked for, lie in shared memory."""
        is_shared: bool = self.tensor.is_shared()
        return self.tensor.shape[-1] == self._size and (is_shared or not shared)


class SubsetImages:
    """Some images of another source, by index."""

    def __init__(self, source: ImageSource, indices: torch.Tensor) -> None:
        """Args: the source, and the indices (N,) into it; a subset of a subset is one of the first source."""
        self._source: ImageSource = source
        self._indices = indices
        if isinstance(source, SubsetImages):
            self._source, self._indices = source._source, source._indices[indices]

    def __len__(self) -> int:
        """Number of images N."""
        return len(self._indices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return self._source.shape

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S)."""
        return self._source.take(self._indices[as_indices(indices)])


class JoinedImages:
    """The images of several sources of the same shape, one source after the other."""

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        """Args: the sources, in order."""
        self._sources = tuple(sources)
        self._ends = torch.tensor([len(source) for source in sources]).cumsum(0)

    def __len__(self) -> int:
        """Number of images N."""
        return int(self._ends[-1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return self._sources[0].shape

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S)."""
        indices_B = as_indices(indices)
        images_BCHW = torch.empty((len(indices_B), *self.shape), dtype=torch.uint8)
        which_B = torch.searchsorted(self._ends, indices_B, right=True)
        for number, source in enumerate(self._sources):
            rows = torch.nonzero(which_B == number).flatten()
            if len(rows):
                start = int(self._ends[number]) - len(source)
                images_BCHW[rows] = source.take(indices_B[rows] - start)
        return images_BCHW


def allocate(count: int, size: int, *, shared: bool) -> torch.Tensor:
    """Memory for a split, uint8 (count, 3, size, size), not filled.

    Args:
        count: images.
        size: side of each in pixels.
        shared: whether loader workers are to share it, however they are started.

    Raises:
        ConfigError: the machine has too little shared memory for it.
    """
    needed_bytes = count * 3 * size * size
    if shared and SHARED_MEMORY.is_dir():
        free_bytes = shutil.disk_usage(SHARED_MEMORY).free
        if needed_bytes > free_bytes:
            raise ConfigError(
                "cache",
                f"ram needs {needed_bytes / 1e9:.2f} GB of shared memory and {SHARED_MEMORY} has "
                f"{free_bytes / 1e9:.2f} GB free; enlarge it (docker run --shm-size), give --num-workers 0, or give "
                "--cache none",
            )
    images = torch.empty((count, 3, size, size), dtype=torch.uint8)
    if shared:
        images.share_memory_()
    return images


def to_memory(source: ImageSource, check: Check = go_on, *, shared: bool = False) -> TensorImages:
    """All images of a source in one uint8 tensor (N, 3, S, S).

    Args:
        source: what is read; one that is in memory at its own size already is returned as it is, unless `shared`.
        check: called before each chunk of `CHUNK_IMAGES`.
        shared: whether loader workers are to share the tensor.

    Raises:
        ConfigError: the machine has too little shared memory for it.
    """
    if isinstance(source, TensorImages) and source.is_ready(shared=shared):
        return source
    count = len(source)
    images_NCHW = allocate(count, source.shape[-1], shared=shared)
    for start in range(0, count, CHUNK_IMAGES):
        check()
        stop = min(start + CHUNK_IMAGES, count)
        images_NCHW[start:stop] = source.take(range(start, stop))
    return TensorImages(images_NCHW)
