"""Scores during pretraining: taken where the labels allow, and said once where they don't."""

from pathlib import Path

import pytest

from tests.trainer.data_files import write_folder
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.device import prepare
from trainer.model import build_model
from trainer.online import OnlineScores


def scores_of(dataset: str, **changes: object) -> tuple[dict[str, object], list[tuple[str, str]]]:
    """The columns of the last epoch, and what was warned of."""
    values = {"dataset": dataset, "image_size": 16, "backbone": "resnet-narrow", "batch_size": 4, "num_workers": 0}
    config = PretrainConfig.from_values(values | {"epochs": 1, "limit_test_per_class": 1} | changes)
    warned: list[tuple[str, str]] = []
    scores = OnlineScores(
        load(config, lambda kind, message: pytest.fail(f"{kind}: {message}")),
        config,
        prepare(device="cpu", threads=0),
        lambda: None,
        lambda kind, message: warned.append((kind, message)),
    )
    model = build_model(config)
    assert scores(model, 1).keys() == scores(model, 1).keys()
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
