"""The losses: NT-Xent and SupCon, which are one loss, and the figures that say how well the positives are found.

Shapes: N images, V views of each, M = V·N rows: view 1 of all images, then view 2 and so on; P the size of a
projection. What an anchor belongs to is one number a row: rows of the same number are each other's positives. With
the image's own number that is SimCLR's NT-Xent, with its label SupCon. Everything works on one M × M matrix, has fixed
shapes and never waits for the device, so that a CUDA graph can hold it.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class ContrastiveMetrics(NamedTuple):
    """How well a positive is found among the M − 1 other views; float32 scalars on the device of the logits."""

    acc_top1: Tensor
    """Share of anchors whose nearest positive is at position 1, 0 to 1."""
    acc_top5: Tensor
    """Share of anchors whose nearest positive is at position 5 or better, 0 to 1."""
    acc_mean_pos: Tensor
    """Mean position of an anchor's nearest positive, 1 to M − 1."""


def similarity_logits(z: Tensor, temperature: float, views: int = 2) -> Tensor:
    """Cosine similarities of all pairs of views divided by the temperature, with −inf for a view with itself.

    Autocast would run the product in 16 bits, where bunched embeddings tie and the ranks are lost, so it is off in
    here; the matrix is only as exact as `torch.get_float32_matmul_precision`, which should stay "highest".

    Args:
        z: (V·N, P), any floating dtype, not normalised.
        temperature: above 0.
        views: V, 2 or more.

    Returns:
        (V·N, V·N), float32, or float64 where z is.

    Raises:
        ValueError: z is not V views of N ≥ 1 images, or the temperature is not above 0.
    """
    if z.ndim != 2 or views < 2 or z.shape[0] < views or z.shape[0] % views:
        raise ValueError(
            f"z has shape {tuple(z.shape)}, which is not {views} views of each image; "
            "give (V·N, P) with V of 2 or more: view 1 of all images, then view 2"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}, but it divides the similarities; give a number above 0")
    with torch.autocast(z.device.type, enabled=False):
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
        return (z @ z.T / temperature).fill_diagonal_(-torch.inf)


def nt_xent(z: Tensor, temperature: float, views: int = 2) -> Tensor:
    """The normalised temperature-scaled cross entropy of SimCLR (Chen et al. 2020, arXiv 2002.05709, equation 1).

    The mean over all anchors, each against its positive and the views of other images, as a log-sum-exp, which a
    small temperature cannot overflow. Identical embeddings give ln(V·N − 1). With more than two views every other
    view of the image is a positive, as in `supcon`.

    Args:
        z: (V·N, P), view 1 of all images, then view 2; any floating dtype, not normalised.
        temperature: above 0.
        views: V, 2 or more.

    Returns:
        A scalar in nats, float32, or float64 where z is, whatever autocast says.

    Raises:
        ValueError: z is not V views of N ≥ 1 images, or the temperature is not above 0.
    """
    logits = similarity_logits(z, temperature, views)
    return _cross_entropy(logits, positives(logits, views))


def supcon(z: Tensor, labels: Tensor, temperature: float, views: int = 2) -> Tensor:
    """The supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362, equation 2, L_out).

    As `nt_xent`, but every view of every image of the anchor's class is a positive; the mean of −log of the positives
    is taken outside the logarithm. Without the factor temperature / base temperature of SupContrast's code, so
    identical embeddings give ln(V·N − 1) here too. Labels that are all different, or all −1, give `nt_xent`.

    Args:
        z: (V·N, P), view 1 of all images, then view 2; any floating dtype, not normalised.
        labels: (N,), integers; −1 has none, so that only the image's own views are positive.
        temperature: above 0.
        views: V, 2 or more.

    Returns:
        A scalar in nats, float32, or float64 where z is, whatever autocast says.

    Raises:
        ValueError: z is not V views of N ≥ 1 images, there is not one label an image, or the temperature is not
            above 0.
    """
    logits = similarity_logits(z, temperature, views)
    return _cross_entropy(logits, positives(logits, views, labels))


def loss_and_metrics(
    z: Tensor, temperature: float, views: int = 2, labels: Tensor | None = None, *, negatives: bool = True
) -> tuple[Tensor, ContrastiveMetrics]:
    """`nt_xent`, or `supcon` where there are labels, and the metrics of the same embeddings, from one matrix.

    Only the loss carries a gradient. Without negatives the loss is the mean of −similarity / temperature over the
    positives, which only collapse can make small.

    Args and Raises as in `supcon`.
    """
    logits = similarity_logits(z, temperature, views)
    mask = positives(logits, views, labels)
    loss = _cross_entropy(logits, mask) if negatives else -_mean_positive(logits, mask).mean()
    return loss, contrastive_metrics(logits, mask)


@torch.no_grad()
def positives(logits: Tensor, views: int = 2, labels: Tensor | None = None) -> Tensor:
    """Which rows are whose positives: bool (V·N, V·N), never a row itself.

    Args:
        logits: (V·N, V·N), for shape and device.
        views: V.
        labels: (N,), or None where only an image's own views belong together.

    Raises:
        ValueError: there is not one label an image.
    """
    images = logits.shape[0] // views
    number_N = torch.arange(images, device=logits.device)
    if labels is not None:
        if labels.shape != (images,):
            raise ValueError(f"labels have shape {tuple(labels.shape)}, but there are {images} images; give one each")
        # Numbers below −1 keep images without a label apart from each other and from all labels.
        labels = labels.to(logits.device)
        number_N = torch.where(labels < 0, -2 - number_N, labels)
    number_M = number_N.repeat(views)
    return (number_M[:, None] == number_M[None, :]).fill_diagonal_(False)


@torch.no_grad()
def contrastive_metrics(logits: Tensor, mask: Tensor | None = None) -> ContrastiveMetrics:
    """Where the nearest positive comes among the other views, as in the UvA deep learning tutorial 17.

    A position is 1 + the number of others above + half the number of other views equal, so that equal similarities
    are worth chance and not the luck of a sort. Positions up to k count for top-k. A positive that is not finite
    makes all three NaN. Where an anchor has several positives the nearest counts, and its other positives are not in
    its way.

    Args:
        logits: (M, M), from `similarity_logits`.
        mask: (M, M), from `positives`; by default that of two views.
    """
    mask = positives(logits) if mask is None else mask
    # NaN must not be hidden by a maximum over −inf.
    best_M = torch.where(mask, logits, -torch.inf).amax(dim=1)
    others = ~mask
    above = ((logits > best_M[:, None]) & others).sum(dim=1)
    equal = ((logits == best_M[:, None]) & others).sum(dim=1)
    nan_unless_finite = (best_M - best_M).float()
    position = 1 + above + equal / 2 + nan_unless_finite
    return ContrastiveMetrics(
        acc_top1=((position <= 1) + nan_unless_finite).mean(),
        acc_top5=((position <= 5) + nan_unless_finite).mean(),
        acc_mean_pos=position.mean(),
    )


def classification_loss_and_metrics(logits: Tensor, labels: Tensor) -> tuple[Tensor, ContrastiveMetrics]:
    """Cross entropy of a classifier and the place of the right class among all, in the same three figures.

    Args:
        logits: (M, K), any floating dtype.
        labels: (M,), integers from 0 to K − 1.

    Returns:
        The mean of −log probability in nats, at least float32, and positions counted as in `contrastive_metrics`.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = F.cross_entropy(logits, labels)
    # Not one_hot, which looks at the labels' values on a CPU.
    is_label = labels[:, None] == torch.arange(logits.shape[1], device=logits.device)
    return loss, contrastive_metrics(logits.detach(), is_label)


def _cross_entropy(logits: Tensor, mask: Tensor) -> Tensor:
    return (logits.logsumexp(dim=1) - _mean_positive(logits, mask)).mean()


def _mean_positive(logits: Tensor, mask: Tensor) -> Tensor:
    """The mean logit of each anchor with its positives, (M,); every anchor has one, as there are two views or more."""
    return torch.where(mask, logits, 0).sum(dim=1) / mask.sum(dim=1)
