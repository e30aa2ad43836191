"""What is known of a run when it is judged, and what follows from it; imports no torch: the dashboard asks too."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard

Method = Literal["simclr", "supcon", "cross-entropy"]
Figures = Mapping[str, float | None]
"""What `trainer.health.measure` gave, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a run; whatever is not known yet is None or empty."""

    method: Method = "simclr"
    epoch: int = 0
    """Epochs that are closed."""
    epochs: int | None = None
    """Epochs of the whole run."""
    steps: int = 0
    """Steps taken."""
    batch_size: int | None = None
    """Images a step."""
    learning_rate: float | None = None
    """The highest, as it was set."""
    temperature: float | None = None
    negatives: bool | None = None
    """False where views of different images are not pushed apart."""
    projection_size: int | None = None
    """Size P of z."""
    feature_size: int | None = None
    """Size D of h."""
    classes: int | None = None
    """Classes of the labels, if there are labels."""

    is_finite: bool | None = None
    """False once a loss or gradient was not."""
    losses: Sequence[float | None] = ()
    """Mean training loss of every closed epoch, the first epoch's first."""
    recent_loss: float | None = None
    """Mean of the latest steps, which is all there is within the first epoch."""
    loss_chance: float | None = None
    """The loss of uninformed features: ln(V·N − 1), or ln(classes) for cross-entropy."""
    acc_top1: float | None = None
    """Contrastive accuracy of the latest epoch."""
    acc_top1_chance: float | None = None
    val_losses: Sequence[float | None] = ()
    """`val_loss` of every closed epoch, None where it was not measured."""
    knn_top1: Sequence[float | None] = ()
    """As above, accuracy of the online kNN."""
    knn_queries: int | None = None
    """Images that the online kNN is scored on."""

    health: Sequence[Figures] = ()
    """Figures of the measured epochs, the latest last."""
    untrained: Figures | None = None
    """Figures of the same images before the first step."""
    health_images: int | None = None
    """Number n of images that they are measured on."""

    waiting: float | None = None
    """t_data / (t_data + t_batch) of the latest steps."""
    views_identical: float | None = None
    """Share of images whose two views are the same pixels."""
    parameters_shared: bool | None = None
    """True where all images of a batch were augmented with the same parameters."""
    images_distinct: float | None = None
    """Share of distinct images in a sample of the split."""
    probe_train: float | None = None
    """Accuracy of the linear probe on the images that it was fitted on."""
    probe_test: float | None = None
    """Its accuracy on images that it was not fitted on."""

    @property
    def latest_loss(self) -> float | None:
        """The training loss of the latest steps, or of the latest epoch that has one."""
        known = known_values((*self.losses, self.recent_loss))
        return known[-1] if known else None

    @property
    def reach(self) -> float:
        """What lies between chance and about the lowest loss that can be reached, in nats.

        Infinite, so that no change is a part of it, where it is unknown.
        """
        chance = self.loss_chance
        if not is_known(chance):
            return math.inf
        reach = chance - self._floor(chance)
        return reach if reach > 0 else math.inf

    def progress(self, loss: float) -> float:
        """How much of the way from chance (0) to the floor (1) a loss has gone; 1 where that is unknown."""
        if self.loss_chance is None or math.isinf(self.reach):
            return 1.0
        return (self.loss_chance - loss) / self.reach

    def directions(self, size: int | None) -> int:
        """In how many directions the measured images' features of a size can differ; 0 where that is unknown."""
        if size is None or self.health_images is None:
            return 0
        return min(size, self.health_images - 1)

    def last_figures(self, name: str, count: int) -> list[float]:
        """A health figure of the last `count` measured epochs; empty where one of them is missing."""
        values = [figures.get(name) for figures in self.health[-count:]]
        known = known_values(values)
        return known if len(known) == count else []

    def figure(self, name: str) -> float:
        """A health figure of the latest measured epoch, NaN where it is missing."""
        return (self.last_figures(name, 1) or [math.nan])[0]

    def untrained_figure(self, name: str) -> float | None:
        """A health figure before the first step."""
        value = self.untrained.get(name) if self.untrained is not None else None
        return value if is_known(value) else None

    def _floor(self, chance: float) -> float:
        """About the lowest loss that the method can reach, from the chance level of the same batch."""
        if self.method == "simclr" and self.temperature and chance > 0:
            # ln(1 + (e^chance − 1)·e^(−1/T)): positives of cosine 1, 2N − 2 = e^chance − 1 negatives of cosine 0.
            apart = chance + math.log(-math.expm1(-chance)) - 1 / self.temperature
            return max(0.0, apart) + math.log1p(math.exp(-abs(apart)))
        if self.method == "supcon" and self.classes is not None and self.classes > 0:
            # All views of a class are positives of each other and share the softmax.
            return max(0.0, chance - math.log(self.classes))
        return 0.0


def is_known(value: float | None) -> TypeGuard[float]:
    """Whether there is a value, and one that can be reckoned with."""
    return value is not None and math.isfinite(value)


def known_values(series: Sequence[float | None]) -> list[float]:
    """The values of a series that there are."""
    return [value for value in series if is_known(value)]
