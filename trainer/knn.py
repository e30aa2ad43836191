"""Cosine k-nearest neighbours on frozen features: no training, so it can be asked after every epoch.

Shapes: M images in the bank, Q queries, D features, k neighbours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.errors import DataError, NonFiniteError

UNRANKED = 2**31 - 1
"""Rank of a class for which no neighbour voted."""
CHUNK_BYTES = 64 * 2**20
"""Memory that the similarities of one chunk of queries may take, about."""


@torch.no_grad()
def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, k: int = 20, *, classes: int
) -> tuple[float, float]:
    """Accuracy of a plain majority among the k bank images nearest by cosine, as (top1, top5).

    Among neighbours of equal similarity the earlier in the bank is the nearer. Among classes with equally many votes
    the one with the nearest neighbour wins, so every class that has a vote has a rank of its own. top5 is the share
    of queries whose class is among the five best; a class without a vote never is. Where the bank has fewer than k
    images all of them vote.

    Args:
        bank: (M, D), floating, on the device where the work is done; computed in float32.
        bank_labels: (M,), integers from 0 to classes − 1.
        queries: (Q, D).
        query_labels: (Q,), as above.
        k: neighbours that vote.
        classes: number of classes.

    Raises:
        DataError: bank or queries are empty, or an image has no label.
        NonFiniteError: a feature is NaN or infinite.
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but at least one neighbour must vote; give 1 or more")
    _check("the bank", bank, bank_labels, classes)
    _check("the queries", queries, query_labels, classes)
    k = min(k, len(bank))
    bank, queries = F.normalize(bank.float(), dim=1), F.normalize(queries.float(), dim=1)
    bank_labels, query_labels = bank_labels.to(bank.device), query_labels.to(bank.device)
    rows = max(1, CHUNK_BYTES // (20 * len(bank) + 9 * k * k))
    top1 = torch.zeros((), dtype=torch.int64, device=bank.device)
    top5 = torch.zeros_like(top1)
    for queries_chunk, labels_chunk in zip(torch.split(queries, rows), torch.split(query_labels, rows), strict=True):
        neighbours = nearest_columns(queries_chunk @ bank.T, k)
        rank = _rank_of_class(bank_labels[neighbours], labels_chunk)
        top1 += (rank <= 1).sum()
        top5 += (rank <= 5).sum()
    return top1.item() / len(queries), top5.item() / len(queries)


def _check(name: str, features: Tensor, labels: Tensor, classes: int) -> None:
    if len(features) == 0:
        raise DataError(f"kNN needs images, but {name} has none; choose a labelled split with more images")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"kNN needs a label from 0 to {classes - 1} for each image, but {name} has {low} to {high}; "
            "choose a labelled split"
        )
    if not bool(torch.isfinite(features).all()):
        raise NonFiniteError(f"{name} of kNN holds NaN or infinity, so nothing is near; use an earlier checkpoint")


def nearest_columns(similarities: Tensor, k: int) -> Tensor:
    """Columns of the k largest values of each row, best first and equal ones in their order: (Q, M) → (Q, k)."""
    values, columns = similarities.topk(k, dim=1)
    # topk promises no order among equal values, so where some of those at the k-th place are left out, sort instead.
    last = values[:, -1:]
    cut = (similarities == last).sum(dim=1) > (values == last).sum(dim=1)
    if bool(cut.any()):
        columns[cut] = similarities[cut].sort(dim=1, descending=True, stable=True).indices[:, :k]
    columns = columns.sort(dim=1).values
    order = similarities.gather(1, columns).sort(dim=1, descending=True, stable=True).indices
    return columns.gather(1, order)


def _rank_of_class(neighbour_labels: Tensor, labels: Tensor) -> Tensor:
    """Rank of the true class among the classes with a vote, 1 the best, UNRANKED without one: (Q,).

    Args:
        neighbour_labels: (Q, k), nearest first.
        labels: (Q,), the true classes.
    """
    k = neighbour_labels.shape[1]
    position = torch.arange(k, device=neighbour_labels.device)
    same = neighbour_labels[:, :, None] == neighbour_labels[:, None, :]
    is_first = ~(same & (position[None, :] < position[:, None])).any(dim=2)
    # More votes win; among equals the class whose first neighbour comes first. Never 0 and never equal for two classes.
    score = (same.sum(dim=2) * k - position) * is_first
    own = (score * (neighbour_labels == labels[:, None])).amax(dim=1)
    rank = 1 + (score > own[:, None]).sum(dim=1)
    return torch.where(own > 0, rank, UNRANKED)
