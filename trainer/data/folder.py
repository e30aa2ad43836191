"""A person's own images: `PATH/train/<class>/…`, `PATH/test/<class>/…` and `PATH/unlabeled/…`.

Each image is turned upright by its EXIF orientation, converted to RGB, and its central square resized, which is what
resizing the shorter side and cropping the centre gives. Files are read in the order of their names, and one that
can't be read is reported by name and left out.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from trainer.data.decode import Pixels, to_chw, try_decode
from trainer.data.fingerprint import of_texts
from trainer.data.split import Check, Indices, Split, TensorImages, allocate, as_indices, go_on
from trainer.elsewhere import available_cores
from trainer.errors import DataError
from trainer.quote import printable

SPLITS = ("train", "test", "unlabeled")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm"})
NOT_READ = frozenset({".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".svg", ".dng", ".cr2", ".nef", ".arw"})
"""Of pictures that are not taken, which are told of, so that nobody believes them to be trained on."""
UNREADABLE = "unreadable-image"
"""Kind of the report on a file that is left out."""
Report = Callable[[str, str], None]
_THREADS = min(16, available_cores())
_READ_AHEAD = 64
"""Files that are handed to the threads at once."""


class FolderImages:
    """Image files that are decoded each time they are taken."""

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        """Args: the files, and the side S at which they are taken."""
        # One array of text: a list of Path objects would be copied page by page into every forked worker.
        self._paths = np.array([str(path) for path in paths], dtype=np.str_)
        self._size = size

    def __len__(self) -> int:
        """Number of images N."""
        return len(self._paths)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of each image."""
        return 3, self._size, self._size

    def take(self, indices: Indices) -> torch.Tensor:
        """The images of those indices, uint8 (B, 3, S, S).

        Raises:
            DataError: a file that could be read when the split was opened no longer can.
        """
        indices_B = as_indices(indices)
        images_BCHW = torch.empty((len(indices_B), *self.shape), dtype=torch.uint8)
        for row, path in enumerate(self._paths[indices_B.numpy()]):
            decoded = try_decode(Path(path), self._size)
            shown = printable(str(path))
            if isinstance(decoded, str):
                raise DataError(f"--dataset: {shown} could be read before and can't be now ({decoded}); put it back")
            images_BCHW[row] = to_chw(decoded)
        return images_BCHW


def splits_of(root: Path) -> tuple[str, ...]:
    """The splits that a folder has.

    Raises:
        DataError: there is no such folder, or nothing in it to train on.
    """
    if not root.is_dir():
        raise DataError(f"--dataset: {root} is not a folder; give folder:PATH with PATH/train/<class>/… in it")
    found = tuple(name for name in SPLITS if (root / name).is_dir())
    if "train" not in found and "unlabeled" not in found:
        raise DataError(
            f"--dataset: {root} has neither a train nor an unlabeled folder; put images into {root}/train/<class>/ "
            f"or {root}/unlabeled/"
        )
    return found


def open_split(
    root: Path,
    name: str,
    size: int,
    *,
    limit: int,
    in_memory: bool,
    shared: bool,
    report: Report,
    check: Check = go_on,
) -> Split:
    """Read a split once: to keep its images, or to find out which can be read.

    Args:
        root: the folder of the data set.
        name: one of `splits_of(root)`.
        size: side S of the images taken.
        limit: stop after so many readable images of each class, or of `unlabeled`; 0 reads all.
        in_memory: keep the decoded images; else they are decoded again each time they are taken.
        shared: whether loader workers are to share that memory.
        report: told the kind and the sentence about each file that is left out.
        check: called before each few files are decoded.

    Raises:
        DataError: a class has no readable image, or `test` has one that `train` lacks.
        ConfigError: the machine has too little shared memory.
    """
    classes, groups = _groups(root, name)
    for path in _files_below(root / name, NOT_READ):
        report(UNREADABLE, f"{printable(str(path))} is left out: {path.suffix} is not read; convert it to JPEG or PNG")
    capacity = sum(min(len(files), limit or len(files)) for _, files in groups)
    images_NCHW = allocate(capacity, size, shared=shared) if in_memory else None
    paths: list[Path] = []
    labels: list[int] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for label, files in groups:
            for path, image_HWC in _read(files, size, limit, pool, report, check):
                if images_NCHW is not None:
                    images_NCHW[len(paths)] = to_chw(image_HWC)
                paths.append(path)
                labels.append(label)
            if not labels or labels[-1] != label:
                raise DataError(f"--dataset: none of the images of {files[0].parent} can be read; replace them")
    held = FolderImages(paths, size) if images_NCHW is None else TensorImages(images_NCHW[: len(paths)])
    return Split(name, held, torch.tensor(labels), classes)


def fingerprint(root: Path) -> str:
    """SHA-256 over the relative path and the size of each image file, in hexadecimal."""
    files = [path for name in SPLITS for path in _image_files(root / name)]
    return of_texts(f"{path.relative_to(root)} {_size_of(path)}" for path in files)


def _size_of(path: Path) -> int:
    """Bytes of a file, -1 where a link leads nowhere or in a circle (it has been reported as unreadable by then)."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _groups(root: Path, name: str) -> tuple[tuple[str, ...], list[tuple[int, list[Path]]]]:
    """The class names, and (label, files) of each class that the split has; one group of -1 for `unlabeled`."""
    folder = root / name
    if name == "unlabeled":
        files = _image_files(folder)
        if not files:
            raise DataError(f"--dataset: {folder} holds no image ({_known()}); put some there or remove it")
        return (), [(-1, files)]
    own = _class_names(folder)
    classes = _class_names(root / "train") if (root / "train").is_dir() else own
    unknown = [word for word in own if word not in classes]
    if unknown:
        raise DataError(
            f"--dataset: {folder} has the class {unknown[0]!r}, which {root / 'train'} lacks; add it there or remove it"
        )
    groups = []
    for word in own:
        files = _image_files(folder / word)
        if not files:
            raise DataError(f"--dataset: {folder / word} holds no image ({_known()}); put some there or remove it")
        groups.append((classes.index(word), files))
    return classes, groups


def _class_names(folder: Path) -> tuple[str, ...]:
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        words = f"{printable(str(folder))} can't be listed ({error.strerror})"
        raise DataError(f"--dataset: {words}; check its permissions") from error
    if not names:
        raise DataError(f"--dataset: {folder} holds no folder named after a class; make {folder}/<class>/ for each")
    return tuple(names)


def _image_files(folder: Path) -> list[Path]:
    return _files_below(folder, EXTENSIONS)


def _files_below(folder: Path, extensions: frozenset[str]) -> list[Path]:
    """Files at any depth, by relative path. What begins with a dot is some program's own and is left out.

    Links to folders are not followed, so there is no circle to walk in.

    Raises:
        DataError: a folder can't be listed. That it holds nothing must not be concluded.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            where = printable(str(error.filename))
            raise DataError(f"--dataset: {where} can't be listed ({error.strerror}); check its permissions") from error

    found = []
    for parent, names_below, names in os.walk(folder, onerror=refuse):
        names_below[:] = [name for name in names_below if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in extensions  # noqa: PTH122
        ]
    return sorted(found)


def _known() -> str:
    return ", ".join(sorted(extension.removeprefix(".") for extension in EXTENSIONS))


def _read(
    files: Sequence[Path], size: int, limit: int, pool: ThreadPoolExecutor, report: Report, check: Check
) -> Iterator[tuple[Path, Pixels]]:
    """The first `limit` readable files (0: all of them) with their pixels, in order."""
    count = 0
    for start in range(0, len(files), _READ_AHEAD):
        check()
        chunk = files[start : start + _READ_AHEAD]
        for path, decoded in zip(chunk, pool.map(partial(try_decode, size=size), chunk), strict=True):
            if isinstance(decoded, str):
                report(UNREADABLE, f"{printable(str(path))} is left out: {decoded}")
                continue
            yield path, decoded
            count += 1
            if count == limit:
                return
