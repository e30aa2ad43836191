"""NT-Xent, the loss of SimCLR, and the figures that say how well the positives are found.

Shapes: N images, 2N views, P the size of a projection. Rows are view 1 of all images, then view 2 of all images,
so the positive of row i is row (i + N) mod 2N. Everything here works on one 2N × 2N matrix, has fixed shapes and
never waits for the device, so that a CUDA graph can hold it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class ContrastiveMetrics(NamedTuple):
    """How well the positive is found among the 2N − 1 other views; float32 scalars on the device of the logits."""

    acc_top1: Tensor
    """Share of views whose positive is at position 1, 0 to 1."""
    acc_top5: Tensor
    """Share of views whose positive is at position 5 or better, 0 to 1."""
    acc_mean_pos: Tensor
    """Mean position of the positive, 1 to 2N − 1."""


def similarity_logits(z: Tensor, temperature: float) -> Tensor:
    """Cosine similarities of all pairs of views divided by the temperature, with −inf for a view with itself.

    Autocast would run the product in 16 bits, where bunched embeddings tie and the ranks are lost, so it is off in
    here; the matrix is only as exact as `torch.get_float32_matmul_precision`, which should stay "highest".

    Args:
        z: (2N, P), any floating dtype, not normalised.
        temperature: above 0.

    Returns:
        (2N, 2N), float32, or float64 where z is.

    Raises:
        ValueError: z is not two views of N ≥ 1 images, or the temperature is not above 0.
    """
    if z.ndim != 2 or z.shape[0] < 2 or z.shape[0] % 2:
        raise ValueError(
            f"z has shape {tuple(z.shape)}, but two views of each image make an even number of rows; "
            "give (2N, P): view 1 of all images, then view 2"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but it divides the similarities; give a number above 0")
    with torch.autocast(z.device.type, enabled=False):
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
        return (z @ z.T / temperature).fill_diagonal_(-torch.inf)


def nt_xent(z: Tensor, temperature: float) -> Tensor:
    """The normalised temperature-scaled cross entropy of SimCLR (Chen et al. 2020, arXiv 2002.05709, equation 1).

    The mean over all 2N views, each anchor against its positive and the 2N − 2 views of other images, as a
    log-sum-exp, which a small temperature cannot overflow. Identical embeddings give ln(2N − 1).

    Args:
        z: (2N, P), view 1 of all images, then view 2; any floating dtype, not normalised.
        temperature: above 0.

    Returns:
        A scalar in nats, float32, or float64 where z is, whatever autocast says.

    Raises:
        ValueError: z is not two views of N ≥ 1 images, or the temperature is not above 0.
    """
    return _cross_entropy(similarity_logits(z, temperature))


def loss_and_metrics(z: Tensor, temperature: float) -> tuple[Tensor, ContrastiveMetrics]:
    """`nt_xent` and `contrastive_metrics` of the same embeddings, from one matrix of similarities.

    Args and Raises as in `nt_xent`. Only the loss carries a gradient.
    """
    logits = similarity_logits(z, temperature)
    return _cross_entropy(logits), contrastive_metrics(logits)


@torch.no_grad()
def contrastive_metrics(logits: Tensor) -> ContrastiveMetrics:
    """Where the positive comes among the 2N − 1 other views, as in the UvA deep learning tutorial 17.

    A position is 1 + the number of others above + half the number of others equal, so that equal similarities are
    worth chance and not the luck of a sort. Positions up to k count for top-k. A positive that is not finite makes
    all three NaN.

    Args:
        logits: (2N, 2N), from `similarity_logits`.
    """
    positives = _positives(logits)
    above = (logits > positives[:, None]).sum(dim=1)
    equal = (logits == positives[:, None]).sum(dim=1) - 1
    nan_unless_finite = (positives - positives).float()
    position = 1 + above + equal / 2 + nan_unless_finite
    return ContrastiveMetrics(
        acc_top1=((position <= 1) + nan_unless_finite).mean(),
        acc_top5=((position <= 5) + nan_unless_finite).mean(),
        acc_mean_pos=position.mean(),
    )


def _cross_entropy(logits: Tensor) -> Tensor:
    return (logits.logsumexp(dim=1) - _positives(logits)).mean()


def _positives(logits: Tensor) -> Tensor:
    """The logit of each view with its positive, (2N,): two diagonals, so nothing is indexed."""
    images = logits.shape[0] // 2
    return torch.cat((logits.diagonal(images), logits.diagonal(-images)))
