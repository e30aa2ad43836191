"""What `--deterministic yes` costs, and whether `no` repeats its bits: both measured in turns on the same images.

    python benchmarks/determinism.py [--device auto] [--batch-size 256] [--image-size 96] [--backbone resnet18]
        [--steps 20] [--rounds 5] [--precision auto] [--json FILE] [--tiny]

Each round trains every mode for so many steps from the same weights on the same views, in an order that turns, and
reads the device's clock (CUDA events on a GPU). The first round warms up (cuDNN looks for its fastest kernels there)
and is not counted. A mode repeats its bits if every round gave the losses of its first one.
"""

import argparse
import dataclasses
import json
import os
import statistics
from pathlib import Path

# Before CUDA starts, as every trainer has it whatever its mode; torch refuses deterministic products without it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

from trainer.config import PretrainConfig
from trainer.data import load
from trainer.device import Machine, prepare_for
from trainer.loader import ViewLoader
from trainer.step import new_state, train_step
from trainer.timing import DeviceClock

MODES = ("yes", "no")


def settle(config: PretrainConfig, mode: str) -> Machine:
    """Tell torch which kernels it may use; changes the process."""
    return prepare_for(dataclasses.replace(config, deterministic=mode))


def train(
    config: PretrainConfig, machine: Machine, batches: list[torch.Tensor], steps: int
) -> tuple[float, list[float]]:
    """Seconds a step and the losses of so many steps from the run's first weights."""
    state = new_state(config, machine, classes=10, data="")
    clock = DeviceClock(machine)
    spans, figures = [], []
    for step in range(steps):
        span = clock.begin()
        figures.append(train_step(state, batches[step % len(batches)], config.learning_rate, config, machine))
        clock.end(span)
        spans.append(span)
    losses = torch.stack(figures)[:, 0].tolist()
    return statistics.median(clock.seconds(span) for span in spans), losses


def main() -> None:
    """Print both modes side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", default=None)
    parser.add_argument("--tiny", action="store_true", help="a few small images, to see that everything runs")
    options = parser.parse_args()
    if options.tiny:
        options.batch_size, options.image_size, options.backbone, options.threads = 8, 16, "resnet-narrow", 1
        options.steps, options.rounds = 2, 1
    own = ("steps", "rounds", "json", "tiny")
    given = {name: value for name, value in vars(options).items() if name not in own}
    per_class = -(-2 * options.batch_size // 10)
    config = PretrainConfig(dataset="shapes", limit_per_class=per_class, limit_test_per_class=1, num_workers=0, **given)
    machine = settle(config, "yes")
    loader = ViewLoader(load(config, print).pretrain.images, config, machine, workers=0)
    batches = [loader.views(batch) for batch in loader.epoch(1)][:2]

    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    losses: dict[str, list[list[float]]] = {mode: [] for mode in MODES}
    for number in range(options.rounds + 1):
        for mode in MODES if number % 2 else MODES[::-1]:
            median, found = train(config, settle(config, mode), batches, options.steps)
            if number:
                seconds[mode].append(median)
                losses[mode].append(found)
    print(f"{machine.name}, torch {torch.__version__}, {options.backbone}, batch {options.batch_size}, ", end="")
    print(f"{options.image_size} px, {options.rounds} rounds of {options.steps} steps")
    for mode in MODES:
        same = all(found == losses[mode][0] for found in losses[mode])
        spread = f"{1e3 * min(seconds[mode]):.2f} to {1e3 * max(seconds[mode]):.2f}"
        print(
            f"--deterministic {mode:<3}  t_batch {1e3 * statistics.median(seconds[mode]):.2f} ms ({spread})  "
            f"bits {'repeated' if same else 'not repeated'}"
        )
    cost = statistics.median(yes / no - 1 for yes, no in zip(seconds["yes"], seconds["no"], strict=True))
    words = f"cost of yes: {100 * cost:+.1f} % (median over rounds of the pair)"
    print(words)
    if options.json:
        Path(options.json).write_text(json.dumps({"words": words, "seconds": seconds, "losses": losses}))


if __name__ == "__main__":
    main()
