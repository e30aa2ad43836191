"""The augmentation alone, by every way, side by side in one run: no loading and no network.

    python benchmarks/augmentation.py --sizes 32 96 --images 64 --rounds 12 --json augmentation.json

Ours get the same parameters. Kornia's own transforms, as a user writes them, draw their own and are another
augmentation (docs/augmentation.md); "tuned" calls them once for all views. Drawing is in every row.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kornia.augmentation as K
import side_by_side
import torch
from torch import Tensor

from trainer import augment_kornia, augment_torchvision
from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, draw_parameters, view_major
from trainer.config import PretrainConfig
from trainer.device import Machine, prepare
from trainer.fused.table import pack
from trainer.fused.views import by_image, make_fused_views
from trainer.randomness import uniforms

VIEWS = 2


def kornias_own(recipe: AugmentRecipe, size: int) -> K.AugmentationSequential:
    """The recipe in Kornia's transforms, by their defaults."""
    *factors, hue = recipe.strengths
    return K.AugmentationSequential(
        K.RandomHorizontalFlip(p=recipe.flip_probability),
        K.RandomResizedCrop((size, size), scale=recipe.scale, ratio=recipe.ratio),
        K.ColorJitter(*factors, hue, p=recipe.jitter_probability),
        K.RandomGrayscale(p=recipe.grayscale_probability),
        K.RandomGaussianBlur((recipe.blur_kernel_size,) * 2, recipe.sigma, p=recipe.blur_probability),
        K.Normalize(mean=torch.full((3,), 0.5), std=torch.full((3,), 0.5)),
    )


def ways_of(machine: Machine, size: int, images: int, *, compiled: bool) -> dict[str, Callable[[], Tensor]]:
    """Each makes all views of the same batch, on the device."""
    config = PretrainConfig(image_size=size)
    recipe = AugmentRecipe.from_config(config)
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (images, 3, size // 4, size // 4), generator=generator).float()
    cpu = torch.nn.functional.interpolate(pictures, (size, size), mode="bilinear").to(torch.uint8)
    here = cpu.to(machine.device)
    own = kornias_own(recipe, size)
    uniforms_NVK = uniforms(0, 1, images, VIEWS, UNIFORMS_PER_VIEW)
    indices_B = torch.arange(images, device=machine.device)
    on_device = by_image(pack(draw_parameters(view_major(uniforms_NVK), recipe, size, size), recipe), images)
    on_device = on_device.to(machine.device)

    def drawn() -> Any:
        return draw_parameters(view_major(uniforms_NVK), recipe, size, size)

    def fused(way: Callable[..., Tensor]) -> Callable[[], Tensor]:
        if machine.is_cuda:  # the table of the epoch is there
            return lambda: way(here, on_device, indices_B)
        return lambda: way(here, by_image(pack(drawn(), recipe), images), indices_B)

    ways = {
        "kornia (ours)": lambda: augment_kornia.augment_batch(here, drawn(), recipe, size),
        "fused": fused(make_fused_views(config, machine)),
        "torchvision per image": lambda: augment_torchvision.augment_batch(cpu, drawn(), recipe, size).to(
            machine.device
        ),
        "Kornia's transforms, a call per view": lambda: torch.cat([own(here.float() / 255) for _ in range(VIEWS)]),
        "Kornia's transforms, one call": lambda: own((here.float() / 255).repeat(VIEWS, 1, 1, 1)),
    }
    if compiled and not machine.is_cuda:
        ways["fused, compiled"] = fused(make_fused_views(PretrainConfig(image_size=size, compile="yes"), machine))
    return ways


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves them to torch")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--compiled", action="store_true", help="inductor too, which takes about 30 s")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine = prepare(device=options.device, threads=options.threads)
    facts, results = side_by_side.machine_facts(), {}
    print(side_by_side.facts_table(facts))
    for size in options.sizes:
        ways = ways_of(machine, size, options.images, compiled=options.compiled)
        runs = {name: side_by_side.timed(work, machine.device) for name, work in ways.items()}
        measured = side_by_side.interleaved(runs, options.rounds, device=machine.device)
        print(f"\n{VIEWS * options.images} views of {size} px on {machine.name}\n")
        print(side_by_side.table(measured, unit="ms", work=VIEWS * options.images, per="views/s"), flush=True)
        results[size] = {name: vars(way) for name, way in measured.items()}
    if options.json:
        options.json.write_text(
            json.dumps({"facts": facts, "views": VIEWS * options.images, "ways": results}, indent=1)
        )


if __name__ == "__main__":
    main()
