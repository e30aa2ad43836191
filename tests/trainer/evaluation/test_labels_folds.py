"""STL10's ten official folds as rows of the curve, from files in its exact format."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from tests.trainer.data_files import accept_any_digest, write_stl10
from tests.trainer.evaluation.subjects import CONFIG, colours, make_subject
from trainer.data import load as load_dataset
from trainer.errors import DataError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation.labels import plan, run
from trainer.evaluation.subject import Subject
from trainer.linear_probe import fit_probe, score
from trainer.store import RunStore

WISH = EvaluateConfig(what="labels", seeds=1, labels_per_class="2", baselines=False)


def stl10_subject(store: RunStore, data_dir: Path, **changes: Any) -> Subject:
    config = dataclasses.replace(
        CONFIG, dataset="stl10", data_dir=str(data_dir), cache="none", num_workers=0, **changes
    )
    data = load_dataset(config, lambda *_: None)
    assert data.train is not None
    return make_subject(store, WISH, train=data.train, test=data.test, config=config)


@pytest.fixture
def stl10_dir(tmp_path: Path) -> Path:
    """STL10's files with 60 images of train, and folds of two images of each class that overlap."""
    write_stl10(tmp_path, train=60, test=20, unlabeled=2)
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(10):
        rows = np.concatenate([label + 10 * rng.choice(6, 2, replace=False) for label in range(10)])
        lines.append(" ".join(map(str, rng.permutation(rows))) + " ")
    (tmp_path / "stl10_binary" / "fold_indices.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_stl10s_ten_folds_are_those_of_torchvision(
    store: RunStore, stl10_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_any_digest(monkeypatch)
    subject = stl10_subject(store, stl10_dir, image_size=96)
    folds = [draw for draw in plan(subject) if draw.protocol == "linear-folds"]
    assert [draw.seed for draw in folds] == list(range(10))
    assert {draw.labels_per_class for draw in folds} == {2}
    for draw in folds:
        theirs = torchvision.datasets.STL10(str(stl10_dir), split="train", folds=draw.seed)
        assert np.array_equal(subject.train.images.take(draw.rows).numpy(), theirs.data)
        assert np.array_equal(subject.train.labels[draw.rows].numpy(), theirs.labels)


def test_folds_are_rows_with_the_fold_as_seed_each_learnt_from_alone(store: RunStore, stl10_dir: Path) -> None:
    subject = stl10_subject(store, stl10_dir)
    run(subject)
    rows = [row for row in store.evaluations(subject.source_id) if row.protocol == "linear-folds"]
    assert [(row.layer, row.labels_per_class, row.seed) for row in rows] == [("h", 2, fold) for fold in range(10)]
    train, test = subject.features(subject.train)["h"], subject.features(subject.test)["h"]
    lines = (stl10_dir / "stl10_binary" / "fold_indices.txt").read_text().splitlines()
    for row, line in list(zip(rows, lines, strict=True))[::4]:
        fold = [int(word) for word in line.split()]
        assert row.c is not None
        probe = fit_probe(train[fold], subject.train.labels[fold], 10, 0, lambda: None, strengths=[row.c])
        assert (row.train_top1, row.top1) == pytest.approx(
            (score(probe, train[fold], subject.train.labels[fold])[0], score(probe, test, subject.test.labels)[0]),
            abs=0.051,  # one image of these twenty
        )


def test_folds_are_left_out_of_a_limited_split_of_other_data_and_on_request(store: RunStore, stl10_dir: Path) -> None:
    limited = stl10_subject(store, stl10_dir, limit_per_class=4)
    whole = stl10_subject(store, stl10_dir)
    not_asked = dataclasses.replace(whole, wish=dataclasses.replace(WISH, folds=False))
    split = colours("train", (4, 4))
    other = make_subject(store, WISH, train=split, test=split)
    assert "linear-folds" in {draw.protocol for draw in plan(whole)}
    for subject in (limited, not_asked, other):
        assert "linear-folds" not in {draw.protocol for draw in plan(subject)}


@pytest.mark.parametrize("line", ["0 1 60", "-1 1 2", "x"])
def test_folds_that_name_no_image_are_refused_before_anything_is_computed(
    store: RunStore, stl10_dir: Path, line: str
) -> None:
    (stl10_dir / "stl10_binary" / "fold_indices.txt").write_text("\n".join([line] * 10))
    subject = stl10_subject(store, stl10_dir)
    with pytest.raises(
        DataError, match=r"fold_indices\.txt does not hold 10 lines of numbers from 0 to 59.*--no-folds"
    ):
        run(subject)
    assert store.evaluations(subject.source_id) == []
