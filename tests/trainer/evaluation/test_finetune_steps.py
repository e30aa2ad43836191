"""Fine-tuning's steps against a slow loop of torch's and torchvision's own parts."""

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trainer.evaluation.subjects import CONFIG, SIDE, colours, make_subject
from trainer import randomness
from trainer.augment import UNIFORMS_PER_VIEW, draw_parameters
from trainer.augment_torchvision import augment_image
from trainer.config import PretrainConfig
from trainer.errors import NonFiniteError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation.finetune import plan
from trainer.evaluation.finetune_steps import Classifier, new_classifier, recipe_of, steps_per_epoch, train
from trainer.evaluation.subject import Subject
from trainer.store import RunStore

WISH = EvaluateConfig(what="finetune", fractions="50,100", finetune_epochs=2, finetune_batch_size=5)
TRAIN, TEST = colours("train", (6, 6, 6)), colours("test", (4, 4, 4))


def subject_of(store: RunStore, *, config: PretrainConfig = CONFIG, **changes: Any) -> Subject:
    return make_subject(store, dataclasses.replace(WISH, **changes), train=TRAIN, test=TEST, config=config)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def slow_training(subject: Subject, classifier: Classifier) -> list[float]:
    """An image at a time by torchvision, torch's AdamW without decay, and the rate written out: half the labels."""
    part = plan(subject)[0]
    assert part.words == "50 %"
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=1.0, weight_decay=0.0)
    recipe = dataclasses.replace(recipe_of(subject.config))
    losses, seed, steps = [], randomness.key(subject.wish.seed, "finetune", "50 %"), 0
    classifier.train()
    for epoch in (1, 2):
        order = randomness.permutation(seed, epoch, 9)
        uniforms = randomness.uniforms(seed, epoch, 9, 1, UNIFORMS_PER_VIEW)[:, 0]
        total = 0.0
        for rows in (order[:5], order[5:]):
            optimizer.param_groups[0]["lr"] = 1e-3 * (1 + math.cos(math.pi * steps / 4)) / 2
            views = []
            for row in rows.tolist():
                parameters = draw_parameters(uniforms[row : row + 1], recipe, SIDE, SIDE)
                views.append(augment_image(part.images.images.take([row])[0], parameters, 0, recipe, SIDE))
            loss = nn.functional.cross_entropy(classifier(torch.stack(views)), part.images.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 2
            steps += 1
        losses.append(total)
    return losses


def test_steps_are_those_of_the_slow_loop(store: RunStore) -> None:
    subject = subject_of(store)
    part = plan(subject)[0]
    classifier = new_classifier(subject, "h", part)
    reference = copy.deepcopy(classifier)
    before = weights(classifier)
    losses = list(train(subject, classifier, part))
    assert losses == pytest.approx(slow_training(subject, reference), rel=1e-3)
    for name, expected in reference.state_dict().items():
        moved = (expected - before[name]).abs().max().item()
        difference = (classifier.state_dict()[name] - expected).abs().max().item()
        assert difference <= 0.05 * moved + 1e-6, name


def test_every_weight_and_statistic_of_the_encoder_learns_and_the_checkpoints_model_stays(store: RunStore) -> None:
    subject = subject_of(store)
    part = plan(subject)[1]
    before = weights(subject.model)
    classifier = new_classifier(subject, "h", part)
    started = weights(classifier)
    list(train(subject, classifier, part))
    assert same(before, weights(subject.model))
    unmoved = [name for name, tensor in classifier.state_dict().items() if torch.equal(tensor, started[name])]
    assert unmoved == []


def test_it_begins_from_the_checkpoint_or_from_untrained_weights_with_the_same_new_layer(store: RunStore) -> None:
    subject = subject_of(store)
    part = plan(subject)[0]
    trained, untrained = new_classifier(subject, "h", part), new_classifier(subject, "untrained", part)
    assert same(weights(trained.encoder), weights(subject.model.encoder))
    assert same(weights(untrained.encoder), weights(subject.untrained().encoder))
    assert not same(weights(trained.encoder), weights(untrained.encoder))
    assert same(weights(trained.linear), weights(untrained.linear))
    bound = subject.model.feature_size**-0.5
    weight = trained.linear.weight.detach()
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.05)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.15)


def test_training_is_a_function_of_the_evaluations_seed_and_moves_no_generator(store: RunStore) -> None:
    ends = []
    for seed in (0, 0, 1):
        subject = subject_of(store, seed=seed)
        part = plan(subject)[0]
        before = torch.get_rng_state()
        classifier = new_classifier(subject, "h", part)
        losses = list(train(subject, classifier, part))
        assert torch.equal(torch.get_rng_state(), before)
        ends.append((losses, weights(classifier)))
    assert ends[0][0] == ends[1][0] != ends[2][0]
    assert same(ends[0][1], ends[1][1])


def test_the_runs_own_recipe_has_no_part_in_it(store: RunStore) -> None:
    other = dataclasses.replace(
        CONFIG,
        optimizer="sgd",
        learning_rate=0.5,
        learning_rate_scaling="linear",
        learning_rate_floor=0.5,
        warmup_epochs=3,
        epochs=5,
        milestones="4",
        weight_decay=0.5,
        schedule="epoch",
        crop_scale_min=0.9,
        same_on_batch=True,
    )
    losses = []
    for config in (CONFIG, other):
        subject = subject_of(store, config=config)
        part = plan(subject)[0]
        losses.append(list(train(subject, new_classifier(subject, "h", part), part)))
    assert losses[0] == losses[1]


def test_views_are_cropped_and_flipped_and_nothing_else(store: RunStore) -> None:
    config = dataclasses.replace(CONFIG, normalisation="cifar10")
    recipe = recipe_of(config)
    uniforms = randomness.uniforms(0, 0, 2000, 1, UNIFORMS_PER_VIEW)[:, 0]
    drawn = draw_parameters(uniforms, recipe, 100, 100)
    area = (drawn.height * drawn.width).float() / 100**2
    assert 0.19 < area.min() < 0.22
    assert area.max() > 0.95
    assert 0.45 < drawn.flip.float().mean() < 0.55
    assert not bool(drawn.jitter.any() | drawn.grayscale.any() | drawn.blur.any())
    assert recipe.normalisation == "cifar10"


@pytest.mark.parametrize("images", [2, 3, 5, 9, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("batch_size", [2, 3, 64])
def test_an_epoch_sees_every_image_once_and_never_one_alone(images: int, batch_size: int) -> None:
    batches = torch.tensor_split(torch.arange(images), steps_per_epoch(images, batch_size))
    assert torch.cat(batches).tolist() == list(range(images))
    assert min(map(len, batches)) >= 2
    assert max(map(len, batches)) <= max(batch_size, 3)


def test_a_loss_that_is_not_finite_ends_it_with_a_sentence(store: RunStore) -> None:
    subject = subject_of(store)
    part = plan(subject)[0]
    classifier = new_classifier(subject, "h", part)
    with torch.no_grad():
        classifier.linear.bias.fill_(math.nan)
    with pytest.raises(
        NonFiniteError, match="--finetune-learning-rate: the loss with 50 % of the labels is not finite"
    ):
        list(train(subject, classifier, part))
