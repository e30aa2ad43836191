"""Every layer's features of views under one augmentation, with what was drawn for each view.

Shapes: N images, V views of each, M = V·B views of a batch of B, D features, P of them after a projection, T numbers
that were drawn for a view.
"""

from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer import randomness
from trainer.augment import AugmentRecipe
from trainer.data.split import Split
from trainer.errors import DataError, NonFiniteError
from trainer.evaluation.invariance_draws import UNIFORMS, alone, views_of
from trainer.evaluation.invariance_measures import MIN_IMAGES, ImageSplit
from trainer.evaluation.layers import layer_names
from trainer.evaluation.names import LAYERS
from trainer.evaluation.subject import FEATURE_BATCH, Subject
from trainer.features import evaluation_mode
from trainer.model import SimCLRModel

MAX_IMAGES = 2000
TOTAL_VIEWS = 4000
MIN_VIEWS, MAX_VIEWS = 2, 8
"""Views of each image: as many as make TOTAL_VIEWS of all, within these bounds. More images say more than more views
of one, but the variance within an image needs two."""

MAX_PIXELS = 512
"""Raw pixels of more dimensions are projected to so many at random, which is what an encoder's h has."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Study:
    """What all augmentations have in common: the images, their views and the layers."""

    subject: Subject
    images: Split
    """The N images that are looked at; no label of theirs is."""
    views: int
    recipe: AugmentRecipe
    layers: list[str]
    untrained: SimCLRModel | None
    projection_DP: Tensor | None
    """Of the raw pixels; None leaves them as they are."""
    split: ImageSplit

    @classmethod
    def of(cls, subject: Subject) -> "Study":
        """Choose the images and build what is needed beside the model.

        Raises:
            DataError: there are too few images.
        """
        whole = images_of(subject)
        if len(whole) < MIN_IMAGES:
            raise DataError(
                f"--dataset: {subject.dataset.name} has {len(whole)} images in {whole.name}, but --what invariance "
                f"needs {MIN_IMAGES}; add some"
            )
        seed = subject.wish.seed
        order = randomness.permutation(seed, "invariance-images", len(whole))
        images = whole.subset(order[:MAX_IMAGES].sort().values)
        layers = layer_names(subject)
        pixels = torch.Size(images.images.shape).numel()
        projected = "pixels" in layers and pixels > MAX_PIXELS
        return cls(
            subject=subject,
            images=images,
            views=min(MAX_VIEWS, max(MIN_VIEWS, TOTAL_VIEWS // len(images))),
            recipe=AugmentRecipe.from_config(subject.config),
            layers=layers,
            untrained=subject.untrained() if "untrained" in layers else None,
            projection_DP=_projection(subject, pixels) if projected else None,
            split=ImageSplit.draw(len(images), seed),
        )


def images_of(subject: Subject) -> Split:
    """Where the images are from; no label is looked at."""
    return subject.dataset.train or subject.dataset.pretrain


def _projection(subject: Subject, pixels: int) -> Tensor:
    """A Gaussian random projection, which keeps squared lengths on average (Johnson and Lindenstrauss 1984)."""
    projection_DP = torch.randn(pixels, MAX_PIXELS, generator=subject.generator("invariance-projection"))
    return projection_DP.div_(MAX_PIXELS**0.5).to(subject.machine.device)


def features_under(study: Study, name: str) -> tuple[dict[str, Tensor], Tensor]:
    """Every layer's features (N, V, D) under one augmentation, float32 on the CPU, and what was drawn (N, V, T).

    Raises:
        NonFiniteError: a feature is NaN or infinite.
    """
    subject, images, views = study.subject, study.images, study.views
    recipe = alone(name, study.recipe)
    uniforms_NVK = randomness.uniforms(subject.wish.seed, f"invariance-{name}", len(images), views, UNIFORMS)
    parts: dict[str, list[Tensor]] = {layer: [] for layer in study.layers}
    targets = []
    with ExitStack() as stack:
        for model in (subject.model, study.untrained):
            if model is not None:
                stack.enter_context(evaluation_mode(model))
        for rows in torch.split(torch.arange(len(images)), max(1, FEATURE_BATCH // views)):
            subject.job.control.check()
            images_BCHW = images.images.take(rows).to(subject.machine.device, non_blocking=True)
            views_MCHW, targets_MT = views_of(name, images_BCHW, uniforms_NVK[rows], recipe)
            targets.append(_by_image(targets_MT, views))
            for layer, features_MD in _layers(study, views_MCHW).items():
                parts[layer].append(_by_image(features_MD.float(), views))
    features = {layer: torch.cat(batches).cpu() for layer, batches in parts.items()}
    for layer, features_NVD in features.items():
        if not bool(torch.isfinite(features_NVD).all()):
            raise NonFiniteError(f"{LAYERS[layer]} holds NaN or infinity; evaluate an earlier checkpoint with --step")
    return features, torch.cat(targets)


def _layers(study: Study, views_MCHW: Tensor) -> dict[str, Tensor]:
    """Features (M, D) of normalised views by layer, on the device."""
    with study.subject.machine.autocast():
        found = study.subject.model.layers(views_MCHW)
        if study.untrained is not None:
            found = {**found, "untrained": study.untrained.layers(views_MCHW)["h"]}
    if "pixels" in study.layers:
        pixels_MD = views_MCHW.flatten(1)
        found = {**found, "pixels": pixels_MD if study.projection_DP is None else pixels_MD @ study.projection_DP}
    return {layer: found[layer] for layer in study.layers}


def _by_image(values_MX: Tensor, views: int) -> Tensor:
    """Rows of all first views, then all second ones, as (images, views, X)."""
    return values_MX.view(views, -1, values_MX.shape[1]).transpose(0, 1)
