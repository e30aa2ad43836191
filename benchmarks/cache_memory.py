"""Why a cache in RAM can be slower than none: what each way of holding images costs forked and spawned workers.

    python benchmarks/cache_memory.py [--images 12000] [--image-size 96] [--workers 2] [--rounds 5] [--start fork|spawn]
        [--read-only] [--json FILE] [--md FILE] [--tiny]

Ways: a list of PIL images, of torch tensors, of numpy arrays; one numpy array (what torchvision's STL10 is); one shared
torch tensor; a memory-mapped file in STL10's format; JPEG files decoded each time; and a list of float32 tensors, from
which a PIL image is made or which is transformed as it is. The work on an image is the tutorial's two views, or only
reading it with `--read-only`, which shows the cost of the holding itself. For each epoch: its seconds; and of the
workers, summed: their CPU time, memory that is theirs alone (Private of /proc/PID/smaps_rollup at the first batch and
at the last: what was copied since the fork), PSS, and minor page faults (/proc/PID/stat). On a machine that others use
as well, CPU time is the figure to compare.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image

from benchmarks.side_by_side import Way, interleaved, machine_facts, write
from benchmarks.ways import TwoViews, pictures

MIB = 1 << 20


class Held(Dataset[Any]):
    """Images, held in one way."""

    def __init__(self, images: Any, as_picture: Callable[[Any], Any], size: int, *, read_only: bool) -> None:
        """Args: the images, what makes a PIL image of one, the side of the views, and whether to make no views."""
        self._images = images
        self._as_picture = as_picture
        self._views = TwoViews(size)
        # The tutorial's transforms but for ToTensor.
        self._of_tensors = transforms.Compose([t for t in self._views.steps if not isinstance(t, transforms.ToTensor)])
        self._read_only = read_only

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Any:
        picture = self._as_picture(self._images[index])
        if isinstance(picture, Tensor) and not self._read_only:
            return [self._of_tensors(picture), self._of_tensors(picture)]
        if not self._read_only:
            return self._views(picture)
        return picture[:1, :1].clone() if isinstance(picture, Tensor) else _touched(picture)


def _touched(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(picture)[:1, :1].copy())


def same(image: Any) -> Any:
    """An image as it is."""
    return image


def from_tensor(image_CHW: Tensor) -> Image.Image:
    """From uint8 (3, H, W)."""
    return Image.fromarray(image_CHW.permute(1, 2, 0).numpy())


def from_float(image_CHW: Tensor) -> Image.Image:
    """From float32 (3, H, W) in [0, 1]."""
    image: Image.Image = to_pil_image(image_CHW)
    return image


def from_array(image_CHW: np.ndarray[Any, Any]) -> Image.Image:
    """From uint8 (3, H, W)."""
    return Image.fromarray(np.transpose(image_CHW, (1, 2, 0)))


def from_column_major(image_CWH: np.ndarray[Any, Any]) -> Image.Image:
    """From an image of STL10's file, uint8 (3, W, H)."""
    return Image.fromarray(np.transpose(image_CWH, (2, 1, 0)))


def from_file(path: str) -> Image.Image:
    """Decoded."""
    with Image.open(path) as image:
        return image.convert("RGB")


def holders(images: np.ndarray[Any, Any], folder: Path) -> dict[str, Callable[[], tuple[Any, Any]]]:
    """Ways of holding the images, and how one of them becomes a PIL image; the first is the reference."""
    mapped = folder / "images.bin"
    np.ascontiguousarray(images.transpose(0, 1, 3, 2)).tofile(mapped)
    shape = (len(images), 3, images.shape[3], images.shape[2])
    return {
        "one shared torch tensor": lambda: (torch.from_numpy(images.copy()).share_memory_(), from_tensor),
        "one numpy array": lambda: (images.copy(), from_array),
        "memory-mapped file": lambda: (np.memmap(mapped, np.uint8, "r", shape=shape), from_column_major),
        "JPEG files": lambda: (_jpeg(images, folder), from_file),
        "list of PIL images": lambda: (pictures(images), same),
        "list of torch tensors": lambda: ([torch.from_numpy(image.copy()) for image in images], from_tensor),
        "list of numpy arrays": lambda: ([image.copy() for image in images], from_array),
        "list of float tensors, made PIL": lambda: (_floats(images), from_float),
        "list of float tensors, as they are": lambda: (_floats(images), same),
    }


def _floats(images: np.ndarray[Any, Any]) -> list[Tensor]:
    return [torch.from_numpy(image).float().div_(255) for image in images]


def _jpeg(images: np.ndarray[Any, Any], folder: Path) -> np.ndarray[Any, Any]:
    paths = [str(folder / f"{number}.jpg") for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        from_array(image).save(path, quality=90)
    return np.array(paths)


class Epochs:
    """Epochs over the images by forked workers that stay, and what the workers' memory does."""

    def __init__(self, dataset: Held, options: argparse.Namespace) -> None:
        """Args: the images, and how they are loaded."""
        self.loader = DataLoader(
            dataset,
            batch_size=options.batch_size,
            shuffle=True,
            num_workers=options.workers,
            persistent_workers=True,
            multiprocessing_context=options.start,
        )
        self.seen: list[dict[str, float]] = []

    def __call__(self) -> float:
        """Seconds of an epoch."""
        begun = time.perf_counter()
        batches = iter(self.loader)
        next(batches)
        workers = [worker.pid for worker in batches._workers]  # type: ignore[attr-defined]
        before, used = memory_of(workers), used_by(workers)
        at_last, seen, total = 1, before, len(self.loader)
        for _ in batches:
            at_last += 1
            if at_last == total:
                seen = memory_of(workers)
        seconds = time.perf_counter() - begun
        faults, cpu = (after - start for after, start in zip(used_by(workers), used, strict=True))
        self.seen.append(
            {
                "private": seen["Private"] / MIB,
                "private at first batch": before["Private"] / MIB,
                "PSS": seen["Pss"] / MIB,
                "minor faults": faults,
                "CPU ms an image": 1e3 * cpu / len(self.loader.dataset),  # type: ignore[arg-type]
            }
        )
        return seconds


def memory_of(processes: list[int]) -> dict[str, float]:
    """Bytes of processes, summed: Pss, and what is private to each of them."""
    total = {"Pss": 0.0, "Private": 0.0}
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split(":")
            if name == "Pss" or name.startswith("Private_"):
                total[name.split("_")[0]] += float(value.split()[0]) * 1024
    return total


def used_by(processes: list[int]) -> tuple[int, float]:
    """Minor page faults and CPU seconds of processes so far (proc(5): fields 10, 14 and 15 of stat)."""
    stats = [Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split() for process in processes]
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in stats)
    return sum(int(fields[7]) for fields in stats), ticks / os.sysconf("SC_CLK_TCK")


def measure(options: argparse.Namespace) -> dict[str, Way]:
    """All ways, in turns. The workers of all stay alive meanwhile, idle but for the one whose turn it is."""
    images = np.random.default_rng(0).integers(
        0, 256, (options.images, 3, options.image_size, options.image_size), np.uint8
    )
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Epochs] = {}
        for name, hold in holders(images, Path(folder)).items():
            held, as_picture = hold()
            made[name] = Epochs(Held(held, as_picture, options.image_size, read_only=options.read_only), options)
        until = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
        measured = interleaved(made, options.rounds, until=until, say=lambda line: print(line, file=sys.stderr))
        for name, way in measured.items():
            seen = made[name].seen[1:] or made[name].seen
            if not seen:
                continue
            first = made[name].seen[0]
            way.remarks = {
                "CPU ms an image, median": f"{statistics.median(row['CPU ms an image'] for row in seen):.3f}",
                "workers' own MiB at their first batch": f"{first['private at first batch']:,.0f}",
                "after epoch 1": f"{first['private']:,.0f}",
                "after the last": f"{seen[-1]['private']:,.0f}",
                "PSS MiB after the last": f"{seen[-1]['PSS']:,.0f}",
                "minor faults of epoch 1": f"{first['minor faults']:,.0f}",
                "of a later one": f"{statistics.median(row['minor faults'] for row in seen):,.0f}",
            }
    return measured


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--start", default="fork", choices=["fork", "spawn"])
    parser.add_argument("--read-only", action="store_true", help="make no views")
    parser.add_argument("--minutes", type=float, default=0, help="begin no further round after so many; 0: no limit")
    parser.add_argument("--device", default="cpu", help="taken and not used: nothing here needs a device")
    parser.add_argument("--json", default=None)
    parser.add_argument("--md", default=None)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        options.images, options.image_size, options.batch_size, options.rounds = 64, 32, 16, 2
    facts = machine_facts()
    torch.set_num_threads(1)
    measured = measure(options)
    pixels = options.images * 3 * options.image_size**2 / MIB
    work = "reading only" if options.read_only else "two views by torchvision"
    title = (
        f"{options.images:,} images of {options.image_size} px ({pixels:,.0f} MiB) held in nine ways, "
        f"{options.workers} workers ({options.start}), {work}"
    )
    text = "`warm-up` is epoch 1, the start of the workers in it. Memory and faults are sums over the workers."
    print(write(options.json, options.md, measured, title=title, facts=facts, text=text, work=options.images))
    os._exit(any(way.error for way in measured.values()))  # the workers of all ways are still there


if __name__ == "__main__":
    main()
