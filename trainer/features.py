"""Frozen features of a whole split, for kNN and linear evaluation.

Always in eval mode and without augmentation, of all images. Shapes: B images, C H W, D features, n images in all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from trainer.augment import normalise

Take = Callable[[Sequence[int]], Tensor]
"""Gives the uint8 images (B, C, H, W) of some indices of a split, on any device."""


class Evaluable(Protocol):
    """What a module needs to be put into eval mode and back; every `nn.Module` has it."""

    def modules(self) -> Iterator[nn.Module]:
        """The module and all modules in it."""

    def eval(self) -> object:
        """Put them into eval mode."""


class Layered(Evaluable, Protocol):
    """A module whose layers can be scored, such as `SimCLRModel`."""

    def layers(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """Features (B, D) by layer, of normalised images (B, C, H, W), from one pass."""


@contextmanager
def evaluation_mode(module: Evaluable) -> Iterator[None]:
    """Eval mode without gradients inside; afterwards every module has the mode back that it had, also on an error.

    Batch norm in training mode would move its statistics and let an image's features depend on its batch.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


def extract(
    model: Layered,
    take: Take,
    n: int,
    batch_size: int,
    device: torch.device | str,
    autocast_dtype: torch.dtype | None,
    check: Callable[[], None],
    *,
    normalisation: str,
) -> dict[str, Tensor]:
    """The features of images 0 to n − 1, by layer.

    Args:
        model: on `device`; it is put into eval mode and back.
        take: gives the images of some indices.
        n: number of images, all of which are scored.
        batch_size: images a batch; it changes nothing but speed and the last bits.
        device: where the model is.
        autocast_dtype: autocast type of the forward pass, None for float32.
        check: called before each batch; it may raise to stop.
        normalisation: of the pixels, as the model was trained with (`augment.NORMALISATIONS`).

    Returns:
        Layer name → (n, D), float32 on the CPU.

    Raises:
        ValueError: n or batch_size is below 1.
    """
    device = torch.device(device)
    parts: dict[str, list[Tensor]] = {}
    with evaluation_mode(model), torch.autocast(device.type, autocast_dtype, enabled=autocast_dtype is not None):
        for indices in _batches(n, batch_size):
            check()
            x_BCHW = normalise(take(indices).to(device, non_blocking=True), normalisation)
            for name, features_BD in model.layers(x_BCHW).items():
                parts.setdefault(name, []).append(features_BD.float())
    return {name: torch.cat(batches).cpu() for name, batches in parts.items()}


def pixels(take: Take, n: int, batch_size: int, check: Callable[[], None], *, normalisation: str) -> Tensor:
    """The images themselves as features, the numbers that the network sees: (n, C·H·W), float32 on the CPU.

    Args and Raises as in `extract`.
    """
    parts = []
    for indices in _batches(n, batch_size):
        check()
        parts.append(normalise(take(indices).cpu(), normalisation).flatten(1))
    return torch.cat(parts)


def _batches(n: int, batch_size: int) -> Iterator[range]:
    if n < 1 or batch_size < 1:
        raise ValueError(f"{n} images in batches of {batch_size} cannot be scored; give 1 or more of each")
    for start in range(0, n, batch_size):
        yield range(start, min(start + batch_size, n))
