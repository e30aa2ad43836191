"""Everything random in training as a function of what it belongs to; no generator's state is kept.

A draw belongs to (seed, epoch), to (seed, epoch, step) or to (seed, epoch, index of an image). A run that is resumed
asks for the same numbers by the same names, so there is nothing to save, to restore or to fast-forward, and nothing
depends on how many loader workers ask.

The permutation and the augmentation's uniforms come from raw words of Philox4x64-10, a counter-based generator
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), whose stream NumPy guarantees to keep across
releases (NEP 19). Each image owns a range of counters, so that any row can be drawn alone.
"""

from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

_WORDS_PER_BLOCK = 4
_FLOATS_PER_BLOCK = 8


def key(seed: int, *parts: int | str) -> int:
    """A number of 63 bits that belongs to a seed and a sequence of names.

    Each part goes into BLAKE2b with its type and length before it, so that (1, 23), (12, 3), ("1", 23) and ("123",)
    are four different names.

    Args:
        seed: the run's seed.
        parts: what the draw belongs to, such as "permutation" and the epoch.

    Returns:
        An integer in [0, 2^63).
    """
    digest = blake2b(digest_size=8)
    for part in (seed, *parts):
        kind, text = ("str", part) if isinstance(part, str) else ("int", str(int(part)))
        encoded = text.encode()
        digest.update(f"{kind}:{len(encoded)}:".encode() + encoded)
    return int.from_bytes(digest.digest(), "big") >> 1


def generator(seed: int, *parts: int | str) -> torch.Generator:
    """A new torch generator on the CPU, seeded with the key of its name.

    torch's CPU generator takes 32 bits of it, enough for a handful of names such as the model's weights.
    """
    return torch.Generator().manual_seed(key(seed, *parts))


def permutation(seed: int, epoch: int | str, n: int) -> Tensor:
    """The order in which an epoch visits its images.

    Args:
        seed: the run's seed.
        epoch: which epoch.
        n: number of images.

    Returns:
        int64 (n,), each of 0 … n - 1 once.
    """
    words = _philox(seed, "permutation", epoch).random_raw(n)
    return torch.from_numpy(np.argsort(words, kind="stable").astype(np.int64, copy=False))


def uniforms(seed: int, epoch: int | str, n: int, views: int, count: int, *, start: int = 0) -> Tensor:
    """What the augmentation of an epoch draws, for all images at once or for some of them.

    Row i belongs to the image of index start + i, whatever n and start are: a worker that is asked for one image
    draws its row alone and gets what the training process gets for the whole epoch.

    Args:
        seed: the run's seed.
        epoch: which epoch, or a fixed name where every epoch shall see the same views.
        n: number of images.
        views: views of each image.
        count: numbers for each view.
        start: index of the first image.

    Returns:
        float32 (n, views, count), multiples of 2^-24 in [0, 1).
    """
    blocks = -(-views * count // _FLOATS_PER_BLOCK)
    words = _philox(seed, "augmentation", epoch, first=start * blocks).random_raw(n * blocks * _WORDS_PER_BLOCK)
    halves = words.astype("<u8", copy=False).view("<u4")
    fractions = (halves >> np.uint32(8)).astype(np.float32)
    fractions *= np.float32(2**-24)
    rows = fractions.reshape(n, blocks * _FLOATS_PER_BLOCK)[:, : views * count]
    return torch.from_numpy(np.ascontiguousarray(rows)).view(n, views, count)


def _philox(seed: int, purpose: str, epoch: int | str, *, first: int = 0) -> np.random.Philox:
    """The generator of a purpose in an epoch, standing before a block of four words."""
    return np.random.Philox(key=key(seed, purpose, epoch), counter=first)
