"""Writers of small data sets in the exact formats of the published ones, for tests that read them."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Pixels = npt.NDArray[np.uint8]

STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of a split: images uint8 (N, H, W, 3) and labels (N,) from 0, or -1."""

    images: Pixels
    labels: npt.NDArray[np.int64]


def write_stl10(
    data_dir: Path, *, train: int = 20, test: int = 10, unlabeled: int = 30, seed: int = 0
) -> dict[str, Written]:
    """Write `stl10_binary` with random images; labels go round the ten classes.

    A file holds each image as uint8 (3, 96, 96) with columns before rows, and labels as uint8 from 1. The ten lines
    of fold_indices.txt each name every tenth image of `train`.
    """
    folder = data_dir / "stl10_binary"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    written = {}
    for name, count in (("train", train), ("test", test), ("unlabeled", unlabeled)):
        images_NHWC = rng.integers(0, 256, (count, 96, 96, 3), dtype=np.uint8)
        images_NHWC.transpose(0, 3, 2, 1).tofile(folder / f"{name}_X.bin")
        labels = np.full(count, -1)
        if name != "unlabeled":
            labels = np.arange(count) % 10
            (labels + 1).astype(np.uint8).tofile(folder / f"{name}_y.bin")
        written[name] = Written(images_NHWC, labels)
    (folder / "class_names.txt").write_text("\n".join(STL10_CLASSES) + "\n")
    lines = [" ".join(str(index) for index in range(fold, train, 10)) + " " for fold in range(10)]
    (folder / "fold_indices.txt").write_text("\n".join(lines) + "\n")
    return written


def write_cifar10(data_dir: Path, *, images_per_batch: int = 10, seed: int = 0) -> dict[str, Written]:
    """Write `cifar-10-batches-py` with random images: five batches of `train` and one of `test`, as pickles.

    torchvision refuses them unless `accept_any_digest` is called.
    """
    folder = data_dir / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    batches = {}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        images_NHWC = rng.integers(0, 256, (images_per_batch, 32, 32, 3), dtype=np.uint8)
        labels = np.arange(images_per_batch) % 10
        rows = images_NHWC.transpose(0, 3, 1, 2).reshape(images_per_batch, -1)
        entry = {"batch_label": name, "labels": labels.tolist(), "data": rows, "filenames": [""] * images_per_batch}
        _pickle(folder / name, entry)
        batches[name] = Written(images_NHWC, labels)
    _pickle(folder / "batches.meta", {"label_names": list(CIFAR10_CLASSES), "num_vis": 3072})
    training = [batch for name, batch in batches.items() if name != "test_batch"]
    return {
        "train": Written(
            np.concatenate([batch.images for batch in training]), np.concatenate([batch.labels for batch in training])
        ),
        "test": batches["test_batch"],
    }


def accept_any_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision read written files, whose MD5 is not that of the published ones."""

    def exists(path: str, _md5: str | None = None) -> bool:
        return Path(path).is_file()

    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", exists)
    monkeypatch.setattr("torchvision.datasets.stl10.check_integrity", exists)


def write_folder(
    root: Path,
    *,
    classes: tuple[str, ...] = ("cat", "dog"),
    train: int = 3,
    test: int = 2,
    unlabeled: int = 0,
    size: tuple[int, int] = (40, 32),
    seed: int = 0,
) -> Path:
    """Write PNG files of random pixels for a `folder:PATH` data set.

    Args:
        root: the PATH; made where it is absent.
        classes: folders below `train` and `test`.
        train: images of each class.
        test: images of each class; 0 makes no `test` folder.
        unlabeled: images; 0 makes no `unlabeled` folder.
        size: width and height of each image.
        seed: of the pixels.

    Returns:
        The root.
    """
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        for name in classes:
            for number in range(count):
                write_image(root / split / name / f"{number:04}.png", rng, size)
    for number in range(unlabeled):
        write_image(root / "unlabeled" / f"{number:04}.png", rng, size)
    return root


def write_image(path: Path, rng: np.random.Generator, size: tuple[int, int] = (40, 32)) -> Pixels:
    """Write one image of random pixels; the suffix says the format. Returns its pixels (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def _pickle(path: Path, value: dict[str, Any]) -> None:
    path.write_bytes(pickle.dumps(value, protocol=2))
