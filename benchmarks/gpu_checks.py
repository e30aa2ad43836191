"""Small proofs on the device, each a line of words and an exit code: what gpu_proof.py asks beside the benchmarks.

    python benchmarks/gpu_checks.py fused|graph|syncs|anatomy|accuracy|nvml [--device auto] [--json FILE] [--tiny]
        [--photographs FOLDER]

fused: the fused augmentation on the device against itself and against Kornia's arithmetic on the CPU, same parameters.
graph: losses and weights of steps replayed as a CUDA graph, or compiled where there is none, against eager ones.
syncs: synchronisations in steps of the real loader and stepper, and in a control that has a hidden one.
anatomy: a real run; how much of its epochs is unexplained, and what they took. A tiny one only has to run.
accuracy: acc_top1 over epoch 1 on photographs, three seeds of the slow way and of the fast one.
nvml: the columns that the store gets of the card.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch
from torch import Tensor

from benchmarks.side_by_side import Stopwatch, put
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.data.split import TensorImages
from trainer.device import Machine, prepare_for
from trainer.loader import Batch, ViewLoader
from trainer.step import TrainState, new_state
from trainer.stepper import Stepper, make_stepper

ROOT = Path(__file__).resolve().parents[1]
Result = tuple[bool, str]
"""Whether the proof holds, and what was found in words."""


def config_of(options: argparse.Namespace, **settings: Any) -> PretrainConfig:
    """Settings of a check: STL10's size, or a tiny one."""
    size = {"image_size": 96, "batch_size": 256, "backbone": "resnet18", "threads": 0}
    if options.tiny:
        size = {"image_size": 16, "batch_size": 8, "backbone": "resnet-narrow", "threads": 1}
    fast = {"augment": "fused", "cache": "vram" if options.device != "cpu" else "ram", "num_workers": 0}
    fixed = {"dataset": "shapes", "device": options.device, "deterministic": "no"}
    return PretrainConfig(**(fixed | size | fast | settings))


def pixels(config: PretrainConfig, batches: int) -> Tensor:
    """Random images for so many batches, uint8 (N, 3, S, S)."""
    count, side = config.batch_size * batches, config.image_size
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@contextlib.contextmanager
def training(config: PretrainConfig, images: Tensor) -> Iterator[tuple[TrainState, ViewLoader, Stepper, Machine]]:
    """The real loader, state and stepper of some settings."""
    machine = prepare_for(config)
    loader = ViewLoader(TensorImages(images), config, machine, workers=config.num_workers)
    state = new_state(config, machine, classes=0, data="")
    told: list[str] = []

    def tell(kind: str, message: str, *, level: str = "info") -> None:  # noqa: ARG001 (as make_stepper calls it)
        told.append(message)

    try:
        yield state, loader, make_stepper(state, loader, config, machine, tell), machine
    finally:
        loader.close()


def take(state: TrainState, stepper: Stepper, batch: Batch, config: PretrainConfig) -> Tensor:
    """A step at the settings' learning rate: float32 (5,)."""
    figures = stepper.take(batch, config.learning_rate).clone()
    state.step += 1
    return figures


def fused(options: argparse.Namespace) -> Result:
    """The views of the same draws, made in three places."""
    views = {}
    for name, settings in {
        "fused on the device": {},
        "fused on the CPU": {"device": "cpu", "cache": "ram"},
        "kornia on the CPU": {"device": "cpu", "cache": "ram", "augment": "kornia"},
    }.items():
        config = config_of(options, precision="float32", **settings)
        with training(dataclasses.replace(config, compile="no"), pixels(config, 2)) as (_, loader, _, _):
            made = [loader.views(batch).float().cpu() for batch in loader.epoch(1)]
            views[name] = torch.cat(made)
    first, *others = views.values()
    apart = [float((first - other).abs().max()) for other in others]
    words = ", ".join(f"{gap:.1e} from {name}" for gap, name in zip(apart, list(views)[1:], strict=True))
    return max(apart) <= 1e-4, f"largest difference {words}, of {len(first):,} views (1e-4 allowed)"


def graph(options: argparse.Namespace) -> Result:
    """The same steps, launched and replayed; float32, so that only a mistake can make a difference that grows."""
    steps = 4 if options.tiny else 20
    fast = "graph" if options.device != "cpu" else "no" if options.tiny else "yes"
    curves, weights = {}, {}
    for mode in ("no", fast):
        config = config_of(options, compile=mode, precision="float32")
        with training(config, pixels(config, steps)) as (state, loader, stepper, _):
            curves[mode] = torch.stack([take(state, stepper, batch, config) for batch in loader.epoch(1)])[:, 0].cpu()
            weights[mode] = torch.cat([p.detach().flatten().cpu() for p in state.model.parameters()])
    apart = float((curves["no"] - curves[fast]).abs().max())
    moved = float((weights["no"] - weights[fast]).norm() / weights["no"].norm())
    words = f"loss apart by {apart:.1e} at most in {steps} steps, weights by {moved:.1e} of their norm ({fast})"
    return apart < 0.02 and moved < 0.01, words


def syncs(options: argparse.Namespace) -> Result:
    """Synchronisations that torch warns of, in steps after the warm-up; the control reads the loss at each step."""
    steps = 4 if options.tiny else 20
    is_cuda = options.device != "cpu"
    counted: dict[str, int] = {}
    for name, compile_ in {"eager": "no", "graph": "graph" if is_cuda else "no", "control": "no"}.items():
        config = config_of(options, compile=compile_)
        with training(config, pixels(config, steps + 2)) as (state, loader, stepper, machine):
            batches = loader.epoch(1)
            for _ in range(2):
                take(state, stepper, next(batches), config)
            machine.synchronize()
            counted[name] = _syncs_of(batches, state, stepper, config, reads=name == "control")
    words = ", ".join(f"{name} {count}" for name, count in counted.items()) + f" in {steps} steps"
    if not is_cuda:
        return True, f"{words} (a CPU has none to count)"
    return counted["eager"] == counted["graph"] == 0 and counted["control"] >= steps, words


def _syncs_of(
    batches: Iterator[Batch], state: TrainState, stepper: Stepper, config: PretrainConfig, *, reads: bool
) -> int:
    is_cuda = config.device != "cpu"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if is_cuda:
            torch.cuda.set_sync_debug_mode("warn")
        for batch in batches:
            figures = take(state, stepper, batch, config)
            if reads:
                float(figures[0])
        if is_cuda:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def anatomy(options: argparse.Namespace) -> Result:
    """A run of the real trainer on drawn shapes, read from its store."""
    config = config_of(options)
    per_class, epochs = (4, 3) if options.tiny else (512, 6)
    names = ("image_size", "batch_size", "backbone", "threads", "augment", "cache", "num_workers", "device")
    arguments = [f"--{name.replace('_', '-')}={getattr(config, name)}" for name in names]
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, "-m", "trainer.run", "--headless", f"--runs-dir={runs}", "--dataset=shapes"]
        command += [f"--limit-per-class={per_class}", "--limit-test-per-class=2", f"--epochs={epochs}", *arguments]
        command += ["--knn-every=0", "--validate-every=0", "--health-every=0", "--no-evaluate-at-end", "--hold-out=0"]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            return False, f"the trainer ended with {ended.returncode}: {(ended.stderr or ended.stdout).strip()[-300:]}"
        store = next(Path(runs).glob("*.db"), None) or next(Path(runs).rglob("*.sqlite*"))
        with contextlib.closing(sqlite3.connect(store)) as db:
            rows = db.execute("SELECT epoch, part, seconds FROM anatomy ORDER BY epoch, seconds DESC").fetchall()
            seconds = dict(db.execute("SELECT epoch, t_epoch FROM epochs").fetchall())
            events = [row[0] for row in db.execute("SELECT message FROM events WHERE kind = 'step-mode'")]
    shares = {
        epoch: sum(s for e, part, s in rows if e == epoch and part == "unexplained") / t for epoch, t in seconds.items()
    }
    last = max(seconds)
    parts = ", ".join(f"{part} {s:.3f}" for epoch, part, s in rows if epoch == last and s > 0.01 * seconds[last])
    worst = max(abs(share) for epoch, share in shares.items() if epoch > 1)
    t_epoch = ", ".join(f"{seconds[epoch]:.3f}" for epoch in sorted(seconds))
    words = f"unexplained {worst:.1%} at most from epoch 2 on; t_epoch {t_epoch} s of {10 * per_class:,} images; "
    return worst < 0.03 or options.tiny, words + f"epoch {last} in s: {parts}; {'; '.join(events) or 'eager'}"


def accuracy(options: argparse.Namespace) -> Result:
    """acc_top1 over epoch 1 of the slow way (Kornia, float32, eager) and of the fast one, three seeds each."""
    if options.photographs is None and not options.tiny:
        return False, "needs --photographs FOLDER"
    is_cuda = options.device != "cpu"
    fast = {"compile": "graph" if is_cuda else "no"}
    slow = {"augment": "kornia", "precision": "float32", "compile": "no"}
    dataset = f"folder:{options.photographs}" if options.photographs else "shapes"
    limits = {"limit_per_class": 8} if options.tiny else {}
    side = {} if options.tiny else {"image_size": 32, "stem": "small"}
    found: dict[str, list[float]] = {"slow": [], "fast": []}
    spent: dict[str, list[float]] = {"slow": [], "fast": []}
    images = None
    for seed in (0, 1, 2):
        for name, settings in (("slow", slow), ("fast", fast)):
            config = config_of(options, dataset=dataset, **limits, **side, **settings, seed=seed)
            if images is None:
                source = load(dataclasses.replace(config, cache="none"), print).pretrain.images
                images = source.take(torch.arange(len(source)))
            with training(config, images) as (state, loader, stepper, machine), Stopwatch(machine.device) as watch:
                figures = [take(state, stepper, batch, config)[1] for batch in loader.epoch(1)]
                found[name].append(float(torch.stack(figures).mean()))
            spent[name].append(watch.seconds)
    words = "; ".join(
        f"{name} {', '.join(f'{value:.4f}' for value in values)} ({sum(spent[name]) / 3:.2f} s an epoch)"
        for name, values in found.items()
    )
    margin = max(found["slow"]) - min(found["slow"])
    mean = sum(found["fast"]) / 3
    holds = min(found["slow"]) - margin <= mean <= max(found["slow"]) + margin
    return holds or options.tiny, f"acc_top1 over epoch 1, three seeds: {words}"


def nvml(options: argparse.Namespace) -> Result:
    """What the sampler tells of the device."""
    from trainer.gpu import make_sampler

    machine = prepare_for(config_of(options))
    said: list[str] = []
    sample = make_sampler(machine.uuid, lambda kind, message: said.append(f"{kind}: {message}")).sample()
    words = ", ".join([*(f"{name} {value}" for name, value in sample.items()), *said])
    wanted = {"gpu_util", "gpu_memory_bytes", "power_watts", "temperature_celsius", "sm_clock_mhz", "energy_joules"}
    return not machine.is_cuda or wanted <= set(sample), words


CHECKS = {check.__name__: check for check in (fused, graph, syncs, anatomy, accuracy, nvml)}


def main() -> None:
    """Run one check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=list(CHECKS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", default=None)
    parser.add_argument("--photographs", type=Path, default=None)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.device == "auto":
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    if options.tiny:
        torch.set_num_threads(1)
    holds, words = CHECKS[options.check](options)
    print(f"{'holds' if holds else 'does not hold'}: {words}")
    if options.json:
        put(Path(options.json), json.dumps({"check": options.check, "holds": holds, "words": words}))
    sys.exit(not holds)


if __name__ == "__main__":
    main()
