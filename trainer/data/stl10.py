"""STL10 (Coates, Lee and Ng 2011): 96-pixel images, 5,000 train, 8,000 test and 100,000 without labels.

torchvision downloads and verifies the files; they are then read in place, through the page cache.
https://cs.stanford.edu/~acoates/stl10/
"""

from pathlib import Path
from urllib.error import URLError

import numpy as np
import numpy.typing as npt
import torch
import torchvision

from trainer.data.aside import aside, download_reason
from trainer.data.fingerprint import of_files
from trainer.data.split import Check, Indices, Split, as_indices, go_on, resize
from trainer.errors import DataError

SPLITS = ("train", "test", "unlabeled")
FOLDER = "stl10_binary"
SIDE = 96
IMAGE_BYTES = 3 * SIDE * SIDE
FOLDS = 10
_LABELLED = ("train", "test")
_FILES = ("class_names.txt", "train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin")


class MappedImages:
    """A file of STL10 images, memory-mapped.

    The format keeps each image column by column: uint8 (N, 3, W, H).
    """

    def __init__(self, path: Path, size: int) -> None:
        """Args: the file, and the side S at which images are taken.

        Raises:
            DataError: the file is missing, or does not hold a whole number of images.
        """
        self._path = path
        self._size = size
        count, odd_bytes = divmod(_size_of(path), IMAGE_BYTES)
        if odd_bytes or not count:
            raise DataError(
                f"--dataset: {path} holds {count} whole images and {odd_bytes} bytes more; delete it and start again, "
                "so that it is unpacked anew"
            )
        self._images_NCWH: npt.NDArray[np.uint8] = np.memmap(path, np.uint8, "r", shape=(count, 3, SIDE, SIDE))

    def __reduce__(self) -> tuple[type["MappedImages"], tuple[Path, int]]:
        # A memory map would be pickled as a copy of the whole file.
        return MappedImages, (self._path, self._size)

    def __len__(self) -> int:
        """Number of images N."""
        return len(self._images_NCWH)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return 3, self._size, self._size

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S)."""
        images_BCWH = torch.from_numpy(self._images_NCWH[as_indices(indices).numpy()])
        return resize(images_BCWH.transpose(2, 3).contiguous(), self._size)


def open_split(data_dir: Path, name: str, size: int, check: Check = go_on) -> Split:
    """A split of STL10, read in place.

    Args:
        data_dir: folder that holds `stl10_binary`, or that it is downloaded to.
        name: one of `SPLITS`.
        size: side S of the images taken.
        check: called while the files are downloaded and verified.

    Raises:
        DataError: the files are broken, or are absent and can't be downloaded.
    """
    folder = _folder(data_dir, check)
    images = MappedImages(folder / f"{name}_X.bin", size)
    classes = tuple(_read_text(folder / "class_names.txt").split())
    labels = torch.full((len(images),), -1)
    if name in _LABELLED:
        path = folder / f"{name}_y.bin"
        numbers = np.fromfile(path, np.uint8)
        if len(numbers) != len(images) or numbers.min() < 1 or numbers.max() > len(classes):
            raise DataError(
                f"--dataset: {path} does not hold one label from 1 to {len(classes)} for each of the {len(images)} "
                f"images of {name}_X.bin; delete both and start again, so that they are unpacked anew"
            )
        labels = torch.from_numpy(numbers.astype(np.int64)) - 1
    return Split(name, images, labels, classes)


def folds(data_dir: Path) -> list[torch.Tensor]:
    """The ten predefined subsets of `train` on which STL10 results are averaged, int64 indices (1000,) each.

    They are those of torchvision's `STL10(folds=)`; each has 100 images of each class.

    Raises:
        DataError: the files are absent and can't be downloaded, or the list is broken.
    """
    folder = _folder(data_dir)
    path, images = folder / "fold_indices.txt", _size_of(folder / "train_y.bin")
    try:
        found = [torch.tensor([int(word) for word in line.split()]) for line in _read_text(path).splitlines() if line]
    except ValueError:
        found = []
    if len(found) != FOLDS or any(len(fold) == 0 or fold.min() < 0 or fold.max() >= images for fold in found):
        raise DataError(
            f"--dataset: {path} does not hold {FOLDS} lines of numbers from 0 to {images - 1}; delete {FOLDER} and "
            "start again, or give --no-folds"
        )
    return found


def fingerprint(data_dir: Path) -> str:
    """SHA-256 over each file's size and a few stretches of its bytes, in hexadecimal."""
    return of_files(_folder(data_dir) / name for name in _FILES)


def _folder(data_dir: Path, check: Check = go_on) -> Path:
    folder = data_dir / FOLDER
    if all((folder / name).is_file() for name in _FILES):
        return folder
    try:
        aside(lambda: torchvision.datasets.STL10(str(data_dir), split="test", download=True), check)
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(
            f"--dataset: stl10 is not in {folder} and can't be downloaded ({download_reason(error)}); "
            f"connect to the network, or copy {FOLDER} there, or give --dataset shapes"
        ) from error
    return folder


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(
            f"--dataset: {path} can't be read ({error.strerror}); delete {FOLDER} and start again"
        ) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"--dataset: {path} can't be read ({error.strerror}); delete {FOLDER} and start again"
        ) from error
