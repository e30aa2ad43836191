"""A step of training, one change after the other, side by side in one run: which change is worth what.

    python benchmarks/step.py [--device auto] [--batch-size 256] [--image-size 96] [--backbone resnet18] [--rounds 10]
        [--steps 10] [--threads N] [--compile] [--json FILE] [--markdown FILE]

The ladder, each rung with those before it: float32 with images as NCHW and torch's default AdamW (for-each on CUDA, a
loop over the weights on a CPU; on CUDA the guard against figures that are not finite copies the weights then, which a
fused one spares it), channels_last, bfloat16, fused AdamW, a CUDA graph, compiled in a graph. A CPU has no
graph, and compiles only with --compile, since that takes a minute. Views are random and on the device: neither data nor
augmentation is part of it. Warm-up with capture and compiling is a column of its own. All ways begin with the same
weights; the loss after their steps stands beside them.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before CUDA starts, as every trainer has it; torch refuses deterministic products without it.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import Tensor

from benchmarks.side_by_side import interleaved, timed, write
from trainer.config import PretrainConfig
from trainer.device import Machine, prepare, prepare_for
from trainer.loader import Batch, ViewLoader
from trainer.parts import Part, unmeasured
from trainer.step import TrainState, new_state
from trainer.stepper import Stepper, make_stepper


class Views(ViewLoader):
    """Gives finished views that are on the device already."""

    def __init__(self, views: Tensor, machine: Machine) -> None:
        """Args: (V·B, 3, S, S), and the device."""
        self._views = views.to(machine.device).contiguous(memory_format=machine.memory_format)

    def views(self, batch: Batch, part: Part = unmeasured) -> Tensor:  # noqa: ARG002
        """Always the same ones."""
        return self._views


def settings_of(options: argparse.Namespace, **settings: Any) -> PretrainConfig:
    """The settings of a rung."""
    return PretrainConfig(
        batch_size=options.batch_size,
        image_size=options.image_size,
        backbone=options.backbone,
        device=options.device,
        threads=options.threads,
        num_workers=0,
        augment="torchvision",
        **settings,
    )


def unfuse(state: TrainState) -> None:
    """Take torch's default AdamW instead of the fused one."""
    (group,) = state.optimizer.param_groups
    plain = torch.optim.AdamW(group["params"], lr=group["lr"], weight_decay=group["weight_decay"])
    state.optimizer = plain
    state.__post_init__()


class Rung:
    """A way to take steps."""

    def __init__(self, options: argparse.Namespace, *, fused: bool, **settings: Any) -> None:
        """Args: the sizes, whether AdamW is fused, and the settings of the rung."""
        began = time.perf_counter()
        self.config = config = settings_of(options, **settings)
        self.machine = prepare_for(dataclasses.replace(config, deterministic="no"))
        self.state = new_state(config, self.machine, classes=10, data="")
        if not fused:
            unfuse(self.state)
        side = options.image_size
        views = torch.randn(2 * options.batch_size, 3, side, side, generator=torch.Generator().manual_seed(0))
        loader = Views(views, self.machine)
        self.stepper: Stepper = make_stepper(
            self.state,
            loader,
            config,
            self.machine,
            lambda _, message, *, level="info": print(f"{level}: {message}"),
        )
        self.figures: Tensor | None = None
        self.made_seconds = time.perf_counter() - began

    def steps(self, count: int) -> Callable[[], None]:
        """Takes so many."""
        batch = Batch(torch.zeros(0), None, None)

        def run() -> None:
            for _ in range(count):
                self.figures = self.stepper.take(batch, 1e-4)
                self.state.step += 1

        return run


def rungs(options: argparse.Namespace, *, on_cuda: bool) -> dict[str, dict[str, Any]]:
    """The ladder."""
    plain = {"precision": "float32", "channels_last": "no", "compile": "no", "fused": False}
    last = plain | {"channels_last": "yes"}
    half = last | {"precision": "bfloat16"}
    fast = half | {"fused": True}
    ladder = {
        "float32, NCHW, default AdamW": plain,
        "+ channels_last": last,
        "+ bfloat16": half,
        "+ fused AdamW": fast,
    }
    if on_cuda:
        ladder["+ CUDA graph"] = fast | {"compile": "graph"}
    else:
        ladder["float32, NCHW, fused AdamW (a CPU's default)"] = plain | {"fused": True}
    if on_cuda or options.compile:
        ladder["+ compiled"] = (fast if on_cuda else plain | {"fused": True}) | {"compile": "yes"}
    return ladder


def main(arguments: list[str] | None = None) -> None:
    """Time all rungs in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="in each round")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="on a CPU too")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args(arguments)
    on_cuda = prepare(device=options.device, threads=options.threads, deterministic="no").is_cuda
    made: dict[str, Rung] = {}
    ways, failed = {}, {}
    for name, settings in rungs(options, on_cuda=on_cuda).items():
        try:
            made[name] = Rung(options, **settings)
            ways[name] = timed(made[name].steps(options.steps), made[name].machine.device, options.steps)
        except Exception as error:  # a rung that fails is a line with its reason
            failed[name] = f"{name}: {type(error).__name__}: {error}"
    device = next(iter(made.values())).machine.device
    measured = interleaved(ways, options.rounds, device=device)
    for name, way in measured.items():
        rung = made[name]
        way.remarks["made in, s"] = (
            f"{rung.made_seconds:.1f} (of it compiling, capturing {rung.stepper.warm_up_seconds:.1f})"
        )
        way.remarks["loss at the end"] = "–" if rung.figures is None else f"{float(rung.figures[0]):.4f}"
    title = (
        f"A step: {options.batch_size} images × 2 views of {options.image_size} px, {options.backbone}, {device.type}"
    )
    images = 2.0 * options.batch_size
    page = write(
        options.json,
        options.markdown,
        measured,
        title=title,
        unit="ms",
        work=images,
        per="views/s",
        text="\n".join(failed.values()),
    )
    print(page)


if __name__ == "__main__":
    main()
