"""How often the right class is the best, or among the five best, of a classifier's logits."""

from torch import Tensor


def top_accuracy(logits_NK: Tensor, labels_N: Tensor) -> tuple[float, float]:
    """(top1, top5) from 0 to 1, of classes ranked by their logits; with fewer than five classes all of them count.

    Args:
        logits_NK: (N, K), N of 1 or more.
        labels_N: (N,), integers from 0 to K − 1.
    """
    hits = logits_NK.topk(min(5, logits_NK.shape[1]), dim=1).indices == labels_N[:, None]
    return hits[:, 0].double().mean().item(), hits.any(dim=1).double().mean().item()
