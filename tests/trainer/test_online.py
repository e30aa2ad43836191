"""Scores during training: honest, taken where the labels allow, and said once where they don't."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from tests.trainer.data_files import write_folder
from trainer.augment import UNIFORMS_PER_VIEW, AugmentRecipe, draw_parameters, normalise
from trainer.augment_kornia import augment_batch
from trainer.config import PretrainConfig
from trainer.data import Dataset, load
from trainer.data.split import Indices, Split
from trainer.device import prepare
from trainer.loss import supcon
from trainer.model import SimCLRModel, build_model
from trainer.online import OnlineScores
from trainer.randomness import permutation, uniforms


def config_of(dataset: str = "shapes", **changes: object) -> PretrainConfig:
    """Settings of a small run of one epoch."""
    values = {"dataset": dataset, "image_size": 16, "backbone": "resnet-narrow", "batch_size": 4, "num_workers": 0}
    return PretrainConfig.from_values(values | {"epochs": 1, "limit_test_per_class": 1} | changes)


def data_of(config: PretrainConfig) -> Dataset:
    """The data that the settings name, none of it left out."""
    return load(config, lambda kind, message: pytest.fail(f"{kind}: {message}"))


def model_of(config: PretrainConfig) -> SimCLRModel:
    """An untrained network, in training mode, whose batch norm has seen something."""
    model = build_model(config, classes=10)
    model(torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    return model


def scores_of(
    dataset: str = "shapes", *, data: Dataset | None = None, model: SimCLRModel | None = None, **changes: object
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The columns of the last epoch, and what was warned of."""
    config = config_of(dataset, **changes)
    warned: list[tuple[str, str]] = []
    scores = OnlineScores(
        data or data_of(config),
        config,
        prepare(device="cpu", threads=0),
        lambda: None,
        lambda kind, message: warned.append((kind, message)),
    )
    model = model or model_of(config)
    assert scores(model, 1) == scores(model, 1)
    return scores(model, 1), warned


def test_a_labelled_split_is_scored_by_its_held_out_fifth() -> None:
    figures, warned = scores_of("shapes", limit_per_class=5)
    assert figures.keys() >= {"knn_top1", "knn_top5", "val_loss"}
    assert warned == []


def test_where_no_class_has_two_images_there_is_no_knn_and_that_is_said_once() -> None:
    figures, warned = scores_of("shapes", limit_per_class=1)
    assert figures.keys() & {"knn_top1", "knn_top5"} == set()
    assert "val_loss" in figures
    assert warned == [
        ("knn-skipped", "no online kNN: no class of shapes has two labelled train images, so none can be held out")
    ]


def test_a_knn_that_nobody_wants_is_not_warned_of() -> None:
    assert scores_of("shapes", limit_per_class=1, knn_every=0)[1] == []


def test_a_class_of_one_image_beside_others_is_no_hindrance(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=4, test=2)
    for number in range(1, 4):
        (root / "train" / "cat" / f"{number:04}.png").unlink()
    figures, warned = scores_of(f"folder:{root}")
    assert "knn_top1" in figures
    assert warned == []


class Forbidden:
    """Stands for what must not be touched."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} of it was asked for")

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("it was read")

    def __len__(self) -> int:
        raise AssertionError("it was counted")

    def take(self, indices: Indices) -> Tensor:
        """What an image source has."""
        raise AssertionError("images were read")


def without_test(data: Dataset, *, images: bool = False) -> Dataset:
    """The same data with a `test` whose labels, and images too, must not be touched."""
    test = data.test
    assert test is not None
    sealed = dataclasses.replace(test, labels=cast("Tensor", Forbidden()))
    if images:
        sealed = dataclasses.replace(sealed, images=cast("Any", Forbidden()))
    validation = sealed if data.validation is test else data.validation
    return dataclasses.replace(data, test=sealed, validation=validation)


@pytest.mark.parametrize("method", ["simclr", "supcon", "cross-entropy"])
def test_no_score_looks_at_the_labels_of_test(method: str) -> None:
    """SimCLR validates on augmented pairs of `test` where it trains on `train`, which takes images alone."""
    config = config_of(method=method, limit_per_class=10, limit_test_per_class=3)
    supervised = method != "simclr"
    sealed = without_test(data_of(config), images=supervised)
    figures, _ = scores_of(data=sealed, method=method, limit_per_class=10, limit_test_per_class=3)
    assert figures.keys() >= {"knn_top1", "val_loss"}
    assert sealed.test is not None
    with pytest.raises(AssertionError, match="was read"):
        _ = sealed.test.labels[0]


@pytest.mark.parametrize("method", ["supcon", "cross-entropy"])
def test_a_supervised_method_is_scored_on_held_out_images_with_those_it_trains_on_as_bank(method: str) -> None:
    """Against scikit-learn's cosine neighbours of features that are taken here."""
    config = config_of(method=method, limit_per_class=10, hold_out=0.3)
    data, model = data_of(config), model_of(config)
    figures, warned = scores_of(data=data, model=model, method=method, limit_per_class=10, hold_out=0.3)
    assert warned == []
    assert data.validation is not None
    assert (len(data.pretrain), len(data.validation)) == (70, 30)
    (bank, bank_labels), (queries, query_labels) = (
        features(model, split) for split in (data.pretrain, data.validation)
    )
    neighbours = KNeighborsClassifier(20, metric="cosine", algorithm="brute").fit(bank, bank_labels)
    _, nearest = neighbours.kneighbors(queries)
    right = [label in winners(bank_labels[row]) for row, label in zip(nearest, query_labels, strict=True)]
    surely = [winners(bank_labels[row]) == {label} for row, label in zip(nearest, query_labels, strict=True)]
    assert sum(surely) / 30 <= figures["knn_top1"] <= sum(right) / 30
    assert 0 < figures["knn_top1"] < 1


def features(model: SimCLRModel, split: Split) -> tuple[Any, Any]:
    """h of each image, one at a time, and the labels."""
    model.eval()
    with torch.no_grad():
        rows = [model.encode(normalise(split.images.take([index]), "half"))[0] for index in range(len(split))]
    model.train()
    return torch.stack(rows).numpy(), split.labels.numpy()


def winners(labels: Any) -> set[int]:
    """The classes that most of the neighbours have."""
    counts = np.bincount(labels)
    return set(np.flatnonzero(counts == counts.max()).tolist())


@pytest.mark.parametrize("views", [1, 2])
def test_validation_of_a_classifier_is_the_mean_over_every_held_out_image(views: int) -> None:
    """One view at a time, by its own image's draws; the batch size does not divide the number of images."""
    changes: dict[str, Any] = {"method": "cross-entropy", "limit_per_class": 7, "hold_out": 0.3, "views": views}
    config = config_of(**changes)
    data, model = data_of(config), model_of(config)
    figures, _ = scores_of(data=data, model=model, **changes)
    held_out = data.validation
    assert held_out is not None
    assert len(held_out) == 20
    losses, places = [], []
    for index, label in enumerate(held_out.labels.tolist()):
        for view in range(views):
            logits = logits_of(model, held_out, config, index, view).double()
            losses.append(float(-F.log_softmax(logits, dim=0)[label]))
            places.append(1 + int((logits > logits[label]).sum()))
    assert figures["val_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert figures["val_acc_top1"] == pytest.approx(np.mean(np.array(places) == 1))
    assert figures["val_acc_top5"] == pytest.approx(np.mean(np.array(places) <= 5))
    assert figures["val_acc_mean_pos"] == pytest.approx(np.mean(places), rel=1e-6)
    other, _ = scores_of(data=data, model=model, **changes, batch_size=3)
    assert other["val_loss"] == pytest.approx(figures["val_loss"], rel=1e-6)


def logits_of(model: SimCLRModel, split: Split, config: PretrainConfig, index: int, view: int) -> Tensor:
    """What the network puts out, in eval mode, for a validation view of one image."""
    draws = uniforms(config.seed, "validation", 1, config.views, UNIFORMS_PER_VIEW, start=index)[0, view : view + 1]
    recipe = AugmentRecipe.from_config(config)
    image = split.images.take([index])
    model.eval()
    with torch.no_grad():
        out: Tensor = model(augment_batch(image, draw_parameters(draws, recipe, 16, 16), recipe, 16))[0]
    model.train()
    return out


def test_validation_of_supcon_is_the_loss_of_full_batches_of_held_out_images() -> None:
    changes: dict[str, Any] = {"method": "supcon", "limit_per_class": 7, "hold_out": 0.3, "batch_size": 8}
    config = config_of(**changes)
    data, model = data_of(config), model_of(config)
    figures, _ = scores_of(data=data, model=model, **changes)
    held_out = data.validation
    assert held_out is not None
    order = permutation(config.seed, "validation", len(held_out))
    losses = []
    for chosen in (order[:8], order[8:16]):
        rows = [logits_of(model, held_out, config, index, view) for view in (0, 1) for index in chosen.tolist()]
        losses.append(float(supcon(torch.stack(rows).double(), held_out.labels[chosen], config.temperature)))
    assert figures["val_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert figures["val_batch_size"] == 8


@pytest.mark.parametrize("method", ["supcon", "cross-entropy"])
def test_where_all_labels_are_trained_on_there_is_no_score_and_the_way_to_one_is_said_once(method: str) -> None:
    figures, warned = scores_of(method=method, limit_per_class=5, hold_out=0.0)
    assert figures == {}
    assert warned == [
        (
            "scores-skipped",
            f"no online kNN and no validation: {method} trains on all labels of shapes; --hold-out 0.1 keeps some for "
            "them",
        )
    ]
    unwanted: dict[str, Any] = {"method": method, "hold_out": 0.0, "knn_every": 0, "validate_every": 0}
    assert scores_of(limit_per_class=5, **unwanted) == ({}, [])


def test_what_is_scored_changes_no_weight_and_no_mode() -> None:
    config = config_of(method="cross-entropy", limit_per_class=5)
    model = model_of(config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    scores_of(model=model, method="cross-entropy", limit_per_class=5)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
