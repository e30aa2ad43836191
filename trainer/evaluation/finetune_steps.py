"""The training of a classifier from a checkpoint's encoder: every weight learns, with cross-entropy.

Every draw is a function of the evaluation's seed, the part of the labels and the epoch. Shapes: B images of a step,
N labelled images that are learnt from, C H W an image, K uniforms of a view or classes, V = 1 views, D features.
"""

import copy
import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer import randomness
from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, draw_parameters, view_major
from trainer.augment_kornia import augment_batch
from trainer.config import TIMM, PretrainConfig
from trainer.data.split import Split
from trainer.errors import NonFiniteError
from trainer.evaluation.subject import Subject
from trainer.optim import build_optimizer, set_learning_rate
from trainer.schedule import learning_rate

CROP_SCALE = (0.2, 1.0)
"""Parts of the area that crops have: less may leave the object out, and a label is told of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The labelled images that are learnt from."""

    fraction: float
    """Of the labels of `train`, 0 to 1."""
    images: Split
    labels_per_class: int
    """Their mean number, rounded."""

    @property
    def words(self) -> str:
        """The part as a person writes it: `10 %`."""
        return f"{100 * self.fraction:g} %"


class Classifier(nn.Module):
    """An encoder with a linear layer on h; calling it gives the logits (B, K)."""

    def __init__(self, encoder: nn.Module, feature_size: int, classes: int, generator: torch.Generator) -> None:
        """Args: the encoder, which is copied; D; K; and what the layer's default initialisation is drawn from."""
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        # On "meta", since its own initialisation would move the global generator.
        self.linear = nn.Linear(feature_size, classes, device="meta").to_empty(device="cpu")
        for parameter in self.linear.parameters():
            nn.init.uniform_(parameter, -(feature_size**-0.5), feature_size**-0.5, generator=generator)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The logits, (B, K)."""
        logits_BK: Tensor = self.linear(self.encoder(x_BCHW))
        return logits_BK

    def layers(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """The logits by the name of their layer."""
        return {"logits": self(x_BCHW)}


def new_classifier(subject: Subject, layer: str, part: Part) -> Classifier:
    """The encoder of a layer's name as it is before fine-tuning, with a new linear layer, on the device."""
    model = subject.untrained() if layer == "untrained" else subject.model
    generator = subject.generator("finetune-linear", part.words)
    classifier = Classifier(model.encoder, model.feature_size, subject.classes, generator).requires_grad_()
    return classifier.to(subject.machine.device).to(memory_format=subject.machine.memory_format)


def train(subject: Subject, classifier: Classifier, part: Part) -> Iterator[float]:
    """Train every weight on a part of the labels; gives the mean loss of each epoch once it is over.

    Every draw is a function of the evaluation's seed, the part and the epoch. On the device there is never more than
    one batch.

    Raises:
        EndRequested: the job was asked to end.
        NonFiniteError: the loss is not finite.
    """
    steps = steps_per_epoch(len(part.images), subject.wish.finetune_batch_size)
    config = _optimisation(subject)
    recipe = recipe_of(config)
    optimizer = build_optimizer(classifier, config)
    device, step = subject.machine.device, 0
    classifier.train()
    for epoch in range(1, config.epochs + 1):
        total = torch.zeros((), device=device)
        for views_BCHW, labels_B in _batches(subject, part, recipe, epoch, steps):
            subject.job.control.check()
            step += 1
            set_learning_rate(optimizer, learning_rate(step, steps, config))
            if config.backbone.startswith(TIMM):  # it may have dropout
                torch.manual_seed(randomness.key(_seed(subject, part), "step", step))
            with subject.machine.autocast():
                logits_BK = classifier(views_BCHW)
            loss = F.cross_entropy(logits_BK.float(), labels_B)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach()
        # Read once an epoch, since reading waits for the device.
        mean = total.item() / steps
        if not math.isfinite(mean):
            raise NonFiniteError(
                f"--finetune-learning-rate: the loss with {part.words} of the labels is not finite in epoch {epoch}; "
                "give a smaller rate"
            )
        yield mean


def _seed(subject: Subject, part: Part) -> int:
    """Of everything that is drawn while a part is trained on."""
    return randomness.key(subject.wish.seed, "finetune", part.words)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps in which every image is seen once, none of a single image: batch norm can't do with one."""
    return max(1, min(-(-images // batch_size), images // 2))


def recipe_of(config: PretrainConfig) -> AugmentRecipe:
    """Crop and flip with the run's normalisation, and nothing else."""
    recipe = AugmentRecipe.from_config(config)
    return dataclasses.replace(
        recipe,
        scale=CROP_SCALE,
        ratio=(3 / 4, 4 / 3),
        flip_probability=0.5,
        jitter_probability=0.0,
        grayscale_probability=0.0,
        blur_probability=0.0,
    )


def _optimisation(subject: Subject) -> PretrainConfig:
    """The settings of the update, as `optim` takes them."""
    return dataclasses.replace(
        subject.config,
        epochs=subject.wish.finetune_epochs,
        optimizer="adamw",
        learning_rate=subject.wish.finetune_learning_rate,
        learning_rate_scaling="none",
        learning_rate_floor=0.0,
        schedule="step",
        warmup_epochs=0.0,
        milestones="",
        weight_decay=0.0,
    )


def _batches(
    subject: Subject, part: Part, recipe: AugmentRecipe, epoch: int, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch's views (B, C, H, W) and labels (B,), on the device."""
    machine, split, seed = subject.machine, part.images, _seed(subject, part)
    order_N = randomness.permutation(seed, epoch, len(split))
    uniforms_NVK = randomness.uniforms(seed, epoch, len(split), 1, UNIFORMS_PER_VIEW)
    for indices_B in torch.tensor_split(order_N, steps):
        images_u8_BCHW = split.images.take(indices_B)
        size = images_u8_BCHW.shape[2]
        parameters = draw_parameters(view_major(uniforms_NVK[indices_B]), recipe, *images_u8_BCHW.shape[2:])
        images_u8_BCHW = images_u8_BCHW.to(machine.device, non_blocking=True)
        views_BCHW = augment_batch(images_u8_BCHW, parameters, recipe, size)
        labels_B = split.labels[indices_B].to(machine.device, non_blocking=True)
        yield views_BCHW.contiguous(memory_format=machine.memory_format), labels_B
