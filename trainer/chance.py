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


def contrastive_chance(method: str, batch_size: int, views: int, *, negatives: bool) -> ChanceLevels | None:
    """The chance levels of what a run minimises; None where it is no contrastive loss with negatives.

    SupCon has the loss in common with SimCLR: with all similarities equal each positive costs ln(VN − 1). Its
    accuracies have none, since labels decide what is a hit.
    """
    return chance_levels(batch_size, views) if method in ("simclr", "supcon") and negatives else None


def chance_levels(batch_size: int, views: int = 2) -> ChanceLevels:
    """The chance levels of a batch of `batch_size` images, that is V·N views, where an image's own are its positives.

    With more than two views the nearest of V − 1 positives among the VN − V other views counts, as the loss's metrics
    have it: p other views stand before it with the chance that p draws without replacement miss all positives.

    Args:
        batch_size: N.
        views: V.

    Raises:
        ValueError: the batch has no image, or there are fewer than two views.
    """
    if batch_size < 1 or views < 2:
        raise ValueError(f"{batch_size} images of {views} views: chance needs one image and two views; give them")
    own, rest = views - 1, views * (batch_size - 1)

    def within(places: int) -> float:
        if places > rest:
            return 1.0
        draws = math.comb(rest + own, places)
        return (draws - math.comb(rest, places)) / draws

    return ChanceLevels(
        loss=math.log(own + rest) if own + rest else 0.0,
        acc_top1=within(1),
        acc_top5=within(5),
        acc_mean_pos=1 + rest / (own + 1),
    )
