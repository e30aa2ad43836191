"""The images nearest to an image by the cosine of their features.

Shapes: N queries, M images of the bank, D features, k neighbours.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.split import Split
from trainer.knn import nearest_columns

CHUNK_BYTES = 64 * 2**20
"""Memory that the similarities of one chunk of queries may take, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k nearest images of each query, nearest first."""

    index_Nk: Tensor
    """int64, into the bank."""
    similarity_Nk: Tensor
    """float32, cosine."""

    def labels(self, queries: Split, bank: Split) -> Tensor:
        """Each neighbour's class as a label of the queries', by name; -1 for a class that only the bank has.

        Returns:
            int64 (N, k).
        """
        label_of = {name: label for label, name in enumerate(queries.classes)}
        translated_K = torch.tensor([label_of.get(name, -1) for name in bank.classes])
        return translated_K[bank.labels][self.index_Nk]

    def is_same_class(self, queries: Split, bank: Split) -> Tensor:
        """Whether each neighbour has the class of its query, by the class's name: bool (N, k)."""
        return self.labels(queries, bank) == queries.labels[:, None]


@torch.no_grad()
def nearest(
    bank_MD: Tensor, queries_ND: Tensor, k: int, *, is_same: bool = False, check: Callable[[], None] = lambda: None
) -> Neighbours:
    """The k images of a bank with the largest cosine; among equal ones the earlier in the bank is the nearer.

    Args:
        bank_MD: floating, rows of unit length.
        queries_ND: as the bank.
        k: where the bank has fewer images, all of them are taken.
        is_same: the queries are the bank, and none is its own neighbour.
        check: called before each chunk; it may raise to stop.
    """
    k = min(k, len(bank_MD) - is_same)
    rows = max(1, CHUNK_BYTES // (20 * len(bank_MD)))
    indices, similarities = [], []
    for start in range(0, len(queries_ND), rows):
        check()
        cosine_BM = queries_ND[start : start + rows] @ bank_MD.T
        if is_same:
            cosine_BM.diagonal(start).fill_(-torch.inf)
        index_Bk = nearest_columns(cosine_BM, k)
        indices.append(index_Bk)
        similarities.append(cosine_BM.gather(1, index_Bk))
    return Neighbours(torch.cat(indices), torch.cat(similarities))


def chance_of_a_match(queries: Split, bank: Split) -> float:
    """How often a query and a bank image, drawn blindly, have the same class."""
    in_bank = Counter(bank.classes[label] for label in bank.labels.tolist())
    matches = sum(in_bank[queries.classes[label]] for label in queries.labels.tolist())
    return matches / (len(queries) * len(bank))
