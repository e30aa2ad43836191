"""CIFAR-10 (Krizhevsky 2009): 32-pixel images, 50,000 train and 10,000 test.

torchvision downloads the files, verifies them each time (they hold pickles, which must not be read unverified) and
reads them. https://www.cs.toronto.edu/~kriz/cifar.html
"""

from pathlib import Path
from urllib.error import URLError

import torch
import torchvision

from trainer.data.aside import aside, download_reason
from trainer.data.fingerprint import of_files
from trainer.data.split import Check, Split, TensorImages, go_on
from trainer.errors import DataError

SPLITS = ("train", "test")
FOLDER = "cifar-10-batches-py"


def open_split(data_dir: Path, name: str, size: int, check: Check = go_on) -> Split:
    """A split of CIFAR-10, in memory.

    Args:
        data_dir: folder that holds `cifar-10-batches-py`, or that it is downloaded to.
        name: one of `SPLITS`.
        size: side S of the images taken.
        check: called while the files are downloaded, verified and read.

    Raises:
        DataError: the files are absent or broken and can't be downloaded.
    """
    try:
        found = aside(
            lambda: torchvision.datasets.CIFAR10(str(data_dir), train=name == "train", download=not _present(data_dir)),
            check,
        )
    except (URLError, OSError, RuntimeError) as error:
        raise DataError(_sentence(data_dir, error)) from error
    images_NCHW = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
    return Split(name, TensorImages(images_NCHW, size), torch.tensor(found.targets), tuple(found.classes))


def fingerprint(data_dir: Path) -> str:
    """SHA-256 over each file's size and a few stretches of its bytes, in hexadecimal."""
    published = torchvision.datasets.CIFAR10
    return of_files(data_dir / FOLDER / name for name, _md5 in published.train_list + published.test_list)


def _present(data_dir: Path) -> bool:
    return (data_dir / FOLDER).is_dir()


def _sentence(data_dir: Path, error: Exception) -> str:
    folder = data_dir / FOLDER
    if _present(data_dir):
        return f"--dataset: {folder} does not hold CIFAR-10 as it was published; delete it and start again"
    return (
        f"--dataset: cifar10 is not in {folder} and can't be downloaded ({download_reason(error)}); "
        f"connect to the network, or copy {FOLDER} there, or give --dataset shapes"
    )
