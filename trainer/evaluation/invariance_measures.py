"""Two figures for how invariant features are to an augmentation, from views of which the draws are known.

Shapes: N images, V views of each, D features, T numbers that were drawn for a view.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import randomness
from trainer.evaluation.ridge import STRENGTHS, RidgeProblem, r_squared, standardisation
from trainer.linear_probe import fit_probe, score

LOGISTIC_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Values of C that are tried where cases are told apart."""

MIN_IMAGES = 10
"""Fewer can't be divided into those to fit on, to choose on and to score."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageSplit:
    """Which images are fitted on, which decide the strength, and which are scored: int64 indices, none in two.

    It divides images and not views: a view of an image that was fitted on would be recognised by the image.
    """

    fit: Tensor
    choose: Tensor
    score: Tensor

    @classmethod
    def draw(cls, images: int, seed: int) -> Self:
        """Three fifths to fit on, one to choose the strength on, one to score.

        Args:
            images: N, at least MIN_IMAGES.
            seed: the same seed and number give the same split on any machine.
        """
        order = randomness.permutation(seed, "invariance-split", images)
        fifth = images // 5
        return cls(order[2 * fifth :], order[fifth : 2 * fifth], order[:fifth])


def tells(
    features_NVD: Tensor,
    targets_NVT: Tensor,
    split: ImageSplit,
    check: Callable[[], None],
    *,
    cases: int = 0,
    as_point: bool = False,
) -> float:
    """How well a linear function of the features predicts what was drawn, on images that it has not seen.

    1 is perfectly, 0 is no better than the mean or a guess; what is below 0 counts as 0. Numbers are predicted by
    ridge regression and judged by R²: the mean over the T numbers or, where they make a point, one R² of its squared
    distances. Cases are predicted by logistic regression, and their accuracy a is rescaled to
    (a − 1/cases) / (1 − 1/cases). The strength of either is chosen on images that are held out of the fit, and the
    fit then repeated on both. After Chen et al. 2020 (arXiv 2002.05709, table 3), who predict which transformation
    was applied from h and from z.

    Args:
        features_NVD: floating, on the CPU or a device.
        targets_NVT: what was drawn, on the same device; the number of the case, with T = 1, where there are cases.
        split: which images are for what.
        check: called between fits; it may raise to stop.
        cases: how many there are, all equally likely; 0 where numbers were drawn.
        as_point: the T numbers are the coordinates of one point, in one unit. A coordinate that hardly varies then
            hardly counts, as the cosine of a small angle, where the mean would give it as much weight as the others.
    """
    if cases:
        reached = _predict_cases(features_NVD, targets_NVT, split, check, cases)
        return max(0.0, (reached - 1 / cases) / (1 - 1 / cases))
    judge = _point_r_squared if as_point else r_squared
    return max(0.0, _predict_numbers(features_NVD, targets_NVT, split, check, judge))


def varies(features_NVD: Tensor) -> float | None:
    """The part of the features' variance that lies within an image's own views.

    0 is invariant: all views of an image have the same features. 1 says that images differ no more than the views
    of one image do. One minus the intraclass correlation ICC(1) of Shrout and Fleiss (1979), with mean squares
    summed over the standardised features:

        MSW = Σ (x − x̄ₙ)² / (N (V − 1))     MSB = V Σ (x̄ₙ − x̄)² / (N − 1)
        V · MSW / (MSB + (V − 1) MSW), at most 1

    Which is σ²within / (σ²within + σ²between), each estimated without bias by its degrees of freedom.

    Args:
        features_NVD: floating, V at least 2 and N at least 2.

    Returns:
        None where no feature varies at all, as of a collapsed layer.
    """
    images, views = features_NVD.shape[:2]
    mean_D, scale_D = standardisation(features_NVD.flatten(0, 1))
    x_NVD = (features_NVD.double() - mean_D) * scale_D
    centre_ND = x_NVD.mean(dim=1)
    within = (x_NVD - centre_ND[:, None]).square().sum() / (images * (views - 1))
    between = views * (centre_ND - centre_ND.mean(dim=0)).square().sum() / (images - 1)
    total = (between + (views - 1) * within).item()
    return None if total == 0 else min(1.0, views * within.item() / total)


def _predict_numbers(
    features_NVD: Tensor,
    targets_NVT: Tensor,
    split: ImageSplit,
    check: Callable[[], None],
    judge: Callable[[Tensor, Tensor], float],
) -> float:
    """R² on the scored images, by one of its kinds."""

    def rows(*parts: Tensor) -> tuple[Tensor, Tensor]:
        which = torch.cat(parts)
        return features_NVD[which].flatten(0, 1), targets_NVT[which].flatten(0, 1)

    problem, (held_out_MD, held_out_MT) = RidgeProblem(*rows(split.fit)), rows(split.choose)
    quality = {}
    for strength in STRENGTHS:
        check()
        quality[strength] = judge(problem.solve(strength).predict(held_out_MD), held_out_MT)
    fitted = RidgeProblem(*rows(split.fit, split.choose)).solve(max(quality, key=quality.__getitem__))
    scored_MD, scored_MT = rows(split.score)
    return judge(fitted.predict(scored_MD), scored_MT)


def _point_r_squared(predicted_MT: Tensor, targets_MT: Tensor) -> float:
    """1 − Σ‖y − ŷ‖² / Σ‖y − ȳ‖²; 0 where the point does not vary (scikit-learn's `variance_weighted`)."""
    targets_MT = targets_MT.double()
    total = (targets_MT - targets_MT.mean(dim=0)).square().sum()
    residual = (targets_MT - predicted_MT).square().sum()
    return torch.where(total > 0, 1 - residual / total, 0.0).item()


def _predict_cases(
    features_NVD: Tensor, targets_NVT: Tensor, split: ImageSplit, check: Callable[[], None], cases: int
) -> float:
    """Accuracy on the scored images."""

    def rows(*parts: Tensor) -> tuple[Tensor, Tensor]:
        which = torch.cat(parts)
        return features_NVD[which].flatten(0, 1), targets_NVT[which, :, 0].flatten().long()

    # Given several strengths, the probe would hold out views and not images, so each is fitted alone.
    fit_MD, fit_M = rows(split.fit)
    held_out_MD, held_out_M = rows(split.choose)
    losses = {}
    for strength in LOGISTIC_STRENGTHS:
        probe = fit_probe(fit_MD, fit_M, cases, 0, check, strengths=(strength,))
        losses[strength] = F.cross_entropy(probe.logits(held_out_MD), held_out_M).item()
    best = min(losses, key=losses.__getitem__)
    fitted = fit_probe(*rows(split.fit, split.choose), cases, 0, check, strengths=(best,))
    return score(fitted, *rows(split.score))[0]
