"""NT-Xent in the tutorial's form and in ours, forward and backward, side by side in one run.

    python benchmarks/loss.py [--device auto] [--images 256] [--size 128] [--temperature 0.07] [--rounds 10] [--calls 3]
        [--threads N] [--json FILE] [--markdown FILE]

tutorial: UvA DL tutorial 17 (SimCLR.info_nce_loss): cosine_similarity of z broadcast against itself, (M, M, P) numbers,
then log-sum-exp, a masked_select-like pick of the positives and a sort for the metrics.
ours: `trainer.loss.loss_and_metrics`: normalise, one product z zᵀ, the same figures by comparisons.

Both values are compared first; they must agree to 1e-5, or nothing is timed.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.side_by_side import interleaved, timed, write
from trainer.device import choose_device
from trainer.loss import ContrastiveMetrics, loss_and_metrics


def tutorial(z: Tensor, temperature: float) -> tuple[Tensor, ContrastiveMetrics]:
    """The tutorial's loss and metrics, without its logging."""
    similarity = F.cosine_similarity(z[:, None, :], z[None, :, :], dim=-1)
    itself = torch.eye(similarity.shape[0], dtype=torch.bool, device=z.device)
    similarity.masked_fill_(itself, -9e15)
    positive = itself.roll(shifts=similarity.shape[0] // 2, dims=0)
    similarity = similarity / temperature
    loss = (-similarity[positive] + torch.logsumexp(similarity, dim=-1)).mean()
    combined = torch.cat([similarity[positive][:, None], similarity.masked_fill(positive, -9e15)], dim=-1)
    place = combined.argsort(dim=-1, descending=True).argmin(dim=-1)
    figures = (place == 0).float().mean(), (place < 5).float().mean(), 1 + place.float().mean()
    return loss, ContrastiveMetrics(*figures)


def both_ways(z: Tensor, way: Callable[[Tensor], tuple[Tensor, ContrastiveMetrics]]) -> Callable[[], None]:
    """Forward and backward pass of a loss."""

    def run() -> None:
        z.grad = None
        way(z)[0].backward()

    return run


def main(arguments: list[str] | None = None) -> None:
    """Compare, then time in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--size", type=int, default=128, help="of a projection")
    parser.add_argument("--temperature", type=float, default=0.07)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=3, help="in each round")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    z = torch.randn(2 * options.images, options.size, generator=torch.Generator().manual_seed(0)).to(device)
    z.requires_grad_()
    ways = {
        "tutorial": lambda z: tutorial(z, options.temperature),
        "ours": lambda z: loss_and_metrics(z, options.temperature),
    }
    values = {
        name: [float(figure) for figure in (loss.detach(), *metrics)]
        for name, (loss, metrics) in ((name, way(z)) for name, way in ways.items())
    }
    apart = abs(values["ours"][0] - values["tutorial"][0])
    if not apart <= 1e-5 * abs(values["tutorial"][0]):
        raise SystemExit(f"the losses differ: {values}")
    measured = interleaved(
        {name: timed(both_ways(z, way), device, options.calls) for name, way in ways.items()},
        options.rounds,
        device=device,
    )
    for name, way in measured.items():
        way.remarks["loss"] = f"{values[name][0]:.7f}"
    title = f"NT-Xent, {options.images} images, z of {options.size}, float32, {device.type}: forward and backward"
    print(write(options.json, options.markdown, measured, title=title, unit="ms"))


if __name__ == "__main__":
    main()
