"""What the contrastive figures are worth when the embeddings know nothing; imports no torch, the charts show it.

Every figure depends on the batch size, so each is only ever read beside its own chance level.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ChanceLevels:
    """Expected figures of uninformative embeddings, for one batch size."""

    loss: float
    """NT-Xent in nats where all similarities are equal: ln(2N − 1)."""
    acc_top1: float
    """Share of views whose positive comes first among the 2N − 1 others."""
    acc_top5: float
    """Share of views whose positive is among the first five."""
    acc_mean_pos: float
    """Mean position of the positive, counted from 1: the middle of 2N − 1 places, which is N."""


def chance_levels(batch_size: int) -> ChanceLevels:
    """The chance levels of a batch of `batch_size` images, that is 2N views.

    Raises:
        ValueError: the batch has no image.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, but chance needs at least one image; give 1 or more")
    others = 2 * batch_size - 1
    return ChanceLevels(
        loss=math.log(others),
        acc_top1=1 / others,
        acc_top5=min(1.0, 5 / others),
        acc_mean_pos=float(batch_size),
    )
