"""An epoch by every way, in turns: the notes', the UvA tutorial's, Kornia tuned, lightly's, and ours.

    python benchmarks/epoch.py [--device auto] [--data random|shapes|folder:PATH] [--images 100000]
        [--image-size 96] [--backbone resnet18] [--batch-size 256] [--rounds 5] [--slow-images 12800] [--ways A,B]
        [--minutes 0] [--json FILE] [--md FILE] [--tiny] [--list]

Every way sees the same images, seed, recipe, batch and two views of each image, and trains the same network. The first
epoch (workers, compiling, capturing) is reported apart. Ways that augment on the CPU may be given the first
`--slow-images` only: their epoch is then scaled up, its start counted once, and the row says so. acc_top1 and the loss
of the last steps guard against a way that is fast because it does other work. "ours whole trainer" is a process of its
own each round, of three epochs of which the second counts, with all that a run does beside its steps; there is none of
random images, which a trainer can't load. Exits with 1 where a way of ours failed.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
# Before CUDA starts, as every trainer has it whatever its mode; torch refuses deterministic products without it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import numpy as np
import torch

from benchmarks import ways as theirs
from benchmarks.side_by_side import Way, interleaved, machine_facts, synchronise, write
from benchmarks.ways import Epoch
from benchmarks.whole_trainer import REMARK, WholeTrainer
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.data.split import TensorImages
from trainer.data.stl10 import MappedImages
from trainer.device import prepare_for
from trainer.loader import ViewLoader
from trainer.schedule import learning_rate
from trainer.step import new_state
from trainer.stepper import make_stepper

Make = Callable[[], Callable[[], Epoch]]
SLOW = ("tutorial", "notes-cached", "notes-uncached", "notes-kornia", "lightly")
"""Ways that may be given fewer images."""


class Ours:
    """Epochs by the product's own loader and stepper."""

    def __init__(self, images: np.ndarray[Any, Any], config: PretrainConfig, whole: int, folder: Path) -> None:
        """Args: uint8 (N, 3, S, S), the settings, the images of a whole epoch, and where a file of them may lie."""
        self._config = config
        self._settle()
        held = torch.from_numpy(images)
        source: Any = TensorImages(held.share_memory_() if config.num_workers else held)
        if config.cache == "none":
            source = _on_disk(images, config.image_size, folder)
        self._loader = ViewLoader(source, config, self._machine, workers=config.num_workers)
        self._state = new_state(config, self._machine, classes=0, data="")
        self.told = ""
        self._stepper = make_stepper(self._state, self._loader, config, self._machine, self._tell)
        self._epoch = 0
        self._whole = whole

    def _settle(self) -> None:
        config = self._config
        self._machine = prepare_for(config)

    def _tell(self, kind: str, message: str, *, level: str = "info") -> None:  # noqa: ARG002 (as make_stepper calls it)
        self.told = message

    def __call__(self) -> Epoch:
        """Run an epoch."""
        self._settle()
        self._epoch += 1
        figures, images = [], 0
        synchronise(self._machine.device)
        begun = first = time.perf_counter()
        for number, batch in enumerate(self._loader.epoch(self._epoch)):
            if number == 0:
                first = time.perf_counter()
            rate = learning_rate(self._state.step + 1, self._loader.steps_per_epoch(), self._config)
            # A row of a ring, which later steps write to again.
            figures.append(self._stepper.take(batch, rate)[:2].clone())
            self._state.step += 1
            images += self._config.batch_size
        synchronise(self._machine.device)
        return theirs.summary(figures, begun, first, images, self._whole)

    def close(self) -> None:
        """End the workers."""
        self._loader.close()


def _on_disk(images: np.ndarray[Any, Any], size: int, folder: Path) -> MappedImages:
    """A file in STL10's format, read through the page cache."""
    if images.shape[-1] != 96:
        raise ValueError("cache=none is measured with images of 96 pixels, the size of STL10's files")
    path = folder / "images.bin"
    if not path.exists():
        np.ascontiguousarray(images.transpose(0, 1, 3, 2)).tofile(path)
    return MappedImages(path, size)


def ours_ways(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings of our ways on this device, by name."""
    cuda = options.device.type == "cuda"
    kept, workers = ("vram", 0) if cuda else ("ram", 0)
    ways: dict[str, dict[str, Any]] = {
        "ours eager kornia": {"augment": "kornia", "compile": "no"},
        "ours eager fused": {"augment": "fused", "compile": "no"},
        **({"ours graph fused": {"augment": "fused", "compile": "graph"}} if cuda else {}),
        **({} if options.tiny else {"ours compiled fused": {"augment": "fused", "compile": "yes"}}),
    }
    ways = {name: {"cache": kept, "num_workers": workers, **settings} for name, settings in ways.items()}
    if cuda:
        ways["ours eager kornia ram 3 workers"] = {
            "augment": "kornia",
            "compile": "no",
            "cache": "ram",
            "num_workers": 3,
        }
        ways["ours eager kornia none 3 workers"] = {
            "augment": "kornia",
            "compile": "no",
            "cache": "none",
            "num_workers": 3,
        }
    return ways


def makers(options: argparse.Namespace, images: np.ndarray[Any, Any], folder: Path) -> dict[str, Make]:
    """What makes each way ready, by name; the first is the reference of the ratios."""
    config, device, whole = _config(options), options.device, len(images)
    some = images[: options.slow_images] if options.slow_images else images
    three, all_cpus = min(3, options.most_workers), min(theirs.usable_cpus(), options.most_workers)
    compiled = not options.tiny
    found: dict[str, Make] = {
        "tutorial": lambda: theirs.tutorial(some, config, device, whole, all_cpus),
        "notes-uncached": lambda: theirs.tutorial(some, config, device, whole, three),
        "notes-cached": lambda: theirs.tutorial(theirs.pictures(some), config, device, whole, three),
        "notes-kornia": lambda: theirs.notes_kornia(some, config, device, whole, three),
        "kornia-tuned": lambda: theirs.kornia_tuned(images, config, device, whole, compiled=False),
        "kornia-tuned compiled": lambda: theirs.kornia_tuned(images, config, device, whole, compiled=compiled),
        "lightly": lambda: theirs.lightly_example(some, config, device, whole, all_cpus),
    }
    for name, settings in ours_ways(options).items():
        own = dataclasses.replace(config, **settings)
        found[name] = lambda own=own: Ours(images, own, whole, folder)  # type: ignore[misc]
    kept = "vram" if device.type == "cuda" else "ram"
    best = dataclasses.replace(config, augment="fused", cache=kept, num_workers=0, compile="no")
    if options.data != "random":  # which the benchmark makes, so that no trainer can load them
        found["ours whole trainer"] = lambda: WholeTrainer(best, options, folder)
    return found


def _config(options: argparse.Namespace) -> PretrainConfig:
    return PretrainConfig(
        dataset="shapes",
        image_size=options.image_size,
        backbone=options.backbone,
        stem="imagenet",
        batch_size=options.batch_size,
        device=str(options.device),
        threads=options.threads,
        deterministic="no",
        epochs=500,
        seed=42,
    )


def pixels(options: argparse.Namespace) -> np.ndarray[Any, Any]:
    """uint8 (N, 3, S, S)."""
    size = options.image_size
    if options.data == "random":
        return np.random.default_rng(0).integers(0, 256, (options.images, 3, size, size), np.uint8)
    per_class = {"limit_per_class": -(-options.images // 10)} if options.data == "shapes" else {}
    config = PretrainConfig(dataset=options.data, image_size=size, cache="none", num_workers=0, **per_class)
    source = load(config, print).pretrain.images
    return source.take(torch.arange(min(options.images, len(source)))).numpy()


def run(options: argparse.Namespace) -> tuple[dict[str, Way], bool]:
    """Measure the ways that are asked for; whether all of ours could be."""
    until = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    images = pixels(options)
    with tempfile.TemporaryDirectory() as folder:
        all_ways = makers(options, images, Path(folder))
        wanted = [name.strip() for name in options.ways.split(",") if name.strip()] or list(all_ways)
        if unknown := set(wanted) - set(all_ways):
            raise SystemExit(f"--ways: {', '.join(sorted(unknown))} is none; there are {', '.join(all_ways)}")
        made: dict[str, Any] = {}
        gave: dict[str, Epoch] = {}

        def epoch(name: str) -> float:
            begun = time.perf_counter()
            is_first = name not in made
            if is_first:
                made[name] = all_ways[name]()
            gave[name] = made[name]()
            return time.perf_counter() - begun if is_first else gave[name].seconds

        calls = {name: lambda name=name: epoch(name) for name in wanted}
        measured = interleaved(calls, options.rounds, device=options.device, until=until, say=_say)
        for name, way in measured.items():
            _remark(way, gave.get(name), made.get(name), options, len(images))
        for ours in made.values():
            if isinstance(ours, Ours):
                ours.close()
    return measured, not any(way.error for name, way in measured.items() if name.startswith("ours"))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _remark(way: Way, gave: Epoch | None, made: Any, options: argparse.Namespace, whole: int) -> None:
    if way.error.startswith(("ImportError", "ModuleNotFoundError")) and way.name == "lightly":
        way.error = "lightly is not installed"
    used = options.slow_images if way.name in SLOW and options.slow_images else whole
    way.remarks = {"images used": f"{min(used, whole):,}", "loss": "–", "acc_top1": "–", "steps are": "eager"}
    if gave is not None:
        way.remarks |= {"loss": f"{gave.loss:.3f}", "acc_top1": f"{gave.acc_top1:.3f}"}
    if isinstance(made, WholeTrainer):
        way.remarks["steps are"] = REMARK
    if isinstance(made, Ours):
        way.remarks["steps are"] = made.told or "eager"


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data", default="random", help="random, shapes or folder:PATH")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--slow-images", type=int, default=0, help="images for ways that augment on the CPU; 0: all")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--most-workers", type=int, default=64)
    parser.add_argument("--ways", default="", help="names, separated by commas; all by default")
    parser.add_argument("--minutes", type=float, default=0, help="begin no further round after so many; 0: no limit")
    parser.add_argument("--json", default=None)
    parser.add_argument("--md", default=None)
    parser.add_argument("--tiny", action="store_true", help="a few small images, to see that everything runs")
    parser.add_argument("--list", action="store_true", help="only the names of the ways")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.images, options.image_size, options.backbone, options.batch_size = 30, 16, "resnet-narrow", 8
        options.rounds, options.threads, options.most_workers, options.data = 1, 1, 1, "shapes"
    cuda = torch.cuda.is_available()
    options.device = torch.device(("cuda" if cuda else "cpu") if options.device == "auto" else options.device)
    return options


def main() -> None:
    """Measure and write."""
    options = parsed()
    if options.list:
        print("\n".join(makers(options, np.empty((0, 3, 1, 1), np.uint8), Path())))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    facts = machine_facts()
    measured, is_whole = run(options)
    title = (
        f"An epoch of {options.images:,} images ({options.data}), {options.image_size} px, {options.backbone}, "
        f"batch {options.batch_size}, {options.device}"
    )
    text = (
        "`warm-up` is epoch 1 with all that comes before it. Rows are epochs after it. Ways that used fewer images "
        "are scaled up, their start counted once. Freed pages are kept (mallopt) for all ways as soon as one of ours "
        "is made."
    )
    print(write(options.json, options.md, measured, title=title, facts=facts, text=text, work=options.images))
    sys.exit(not is_whole)


if __name__ == "__main__":
    main()
