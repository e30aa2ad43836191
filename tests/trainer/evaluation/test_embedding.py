"""The job that makes a map: its files, its row, and what it does without labels."""

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tests.trainer.evaluation.subjects import CONFIG, colours, make_subject
from trainer.data.split import Split
from trainer.errors import ConfigError, DataError
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation import embedding
from trainer.evaluation.subject import Subject
from trainer.store import RunStore

WISH = EvaluateConfig(what="map", projection="pca", map_images=30, neighbours=4, device="cpu")
TRAIN, TEST = colours("train", (20, 20, 20)), colours("test", (14, 14, 5))


def subject_of(store: RunStore, wish: EvaluateConfig = WISH, *, test: Split = TEST) -> Subject:
    """A job on coloured images."""
    return make_subject(store, wish, train=TRAIN, test=test, config=CONFIG)


def without_labels(subject: Subject, split: Split = TRAIN) -> Subject:
    """The same job on images without labels."""
    bare = dataclasses.replace(split, labels=torch.full_like(split.labels, -1))
    return dataclasses.replace(
        subject, dataset=dataclasses.replace(subject.dataset, train=None, test=None, pretrain=bare)
    )


def read(subject: Subject) -> dict[str, Any]:
    """The map that the job wrote."""
    found: dict[str, Any] = json.loads((subject.folder() / "map.json").read_text())
    return found


def test_the_map_holds_as_many_images_of_each_class_as_there_are(store: RunStore) -> None:
    subject = subject_of(store)
    embedding.run(subject)
    written = read(subject)
    assert {name: value for name, value in written.items() if name != "points"} == {
        "version": 1,
        "run": subject.source_id,
        "step": 10,
        "dataset": "shapes",
        "split": "test",
        "neighbours_split": "train",
        "projection": "pca",
        "layer": "h",
        "classes": ["c0", "c1", "c2"],
    }
    points = written["points"]
    assert [sum(point["label"] == label for point in points) for label in range(3)] == [10, 10, 5]
    assert all(TEST.labels[point["index"]] == point["label"] for point in points)
    assert all(0 <= point[axis] <= 1 for point in points for axis in "xy")
    assert all(len(point["neighbours"]) == len(point["similarity"]) == 4 for point in points)


def test_neighbours_and_their_share_are_those_of_a_slow_search(store: RunStore) -> None:
    subject = subject_of(store)
    (row,) = embedding.run(subject)
    bank_MD, queries_ND = (F.normalize(subject.features(split)["h"].double(), dim=1) for split in (TRAIN, TEST))
    hits = 0
    points = read(subject)["points"]
    for point in points:
        cosines = [(-(queries_ND[point["index"]] @ image).item(), number) for number, image in enumerate(bank_MD)]
        best = sorted(cosines)[:4]
        assert point["neighbours"] == [number for _, number in best]
        assert point["similarity"] == pytest.approx([-cosine for cosine, _ in best], abs=1e-4)
        assert point["neighbour_labels"] == [int(TRAIN.labels[number]) for _, number in best]
        hits += sum(int(TRAIN.labels[number]) == point["label"] for _, number in best)
    assert row["value"] == pytest.approx(hits / (4 * len(points)))
    (stored,) = store.evaluations(subject.source_id)
    assert (stored.protocol, stored.layer, stored.top1, stored.images) == ("neighbours", "h", None, 25)
    assert stored.value == row["value"]


def test_every_file_is_announced_as_it_is(store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subject = subject_of(store)
    embedding.run(subject)
    found = {Path(artifact.name).name: artifact for artifact in store.artifacts(subject.source_id)}
    assert {name: artifact.kind for name, artifact in found.items()} == {
        "map.json": "map",
        "map.svg": "picture",
        "map.png": "picture",
        "neighbours.png": "picture",
    }
    for artifact in found.values():
        data = (runs / artifact.path).read_bytes()
        assert (artifact.bytes, artifact.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    for name in ("map.png", "neighbours.png"):
        with Image.open(subject.folder() / name) as picture:
            picture.verify()
    said = capsys.readouterr().out
    assert "of the 4 nearest train images are of the test image's class (chance 33.3 %)" in said
    assert str(subject.folder() / "map.svg") in said


def test_a_job_run_again_writes_the_same_map(store: RunStore) -> None:
    subject = subject_of(store, dataclasses.replace(WISH, projection="tsne"))
    embedding.run(subject)
    before = {path.name: path.read_bytes() for path in subject.folder().iterdir() if path.suffix != ".svg"}
    embedding.run(subject)
    assert {path.name: path.read_bytes() for path in subject.folder().iterdir() if path.suffix != ".svg"} == before


def test_without_labels_the_map_is_of_what_was_pretrained_on(store: RunStore) -> None:
    subject = without_labels(subject_of(store))
    assert embedding.run(subject) == []
    written = read(subject)
    assert (written["split"], written["neighbours_split"], written["classes"]) == ("train", "train", ["unlabelled"])
    points = written["points"]
    assert len(points) == 30
    assert {label for point in points for label in (point["label"], *point["neighbour_labels"])} == {0}
    on_map = {point["index"] for point in points}
    assert all(point["index"] not in point["neighbours"] for point in points)
    assert {near for point in points for near in point["neighbours"]} <= on_map
    assert store.evaluations(subject.source_id) == []
    h_ND = F.normalize(subject.features(subject.dataset.pretrain)["h"], dim=1)
    for point in points:
        cosine = (h_ND[point["index"]] @ h_ND[point["neighbours"][0]]).item()
        assert point["similarity"][0] == pytest.approx(cosine, abs=1e-4)


def test_labels_without_a_test_split_still_colour_the_map(store: RunStore) -> None:
    subject = subject_of(store)
    subject = dataclasses.replace(subject, dataset=dataclasses.replace(subject.dataset, test=None))
    assert embedding.run(subject) == []
    assert {point["label"] for point in read(subject)["points"]} == {0, 1, 2}


def test_a_missing_package_is_found_before_any_image_is_looked_at(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    subject = subject_of(store, dataclasses.replace(WISH, projection="umap"))
    subject.model.encoder.register_forward_hook(lambda *_: pytest.fail("features were computed"))
    with pytest.raises(ConfigError, match="--projection"):
        embedding.run(subject)
    assert not list(subject.folder().iterdir())


def test_too_few_images_are_refused(store: RunStore) -> None:
    with pytest.raises(DataError, match="shapes has 4 images to put on a map; add some"):
        embedding.run(subject_of(store, test=TEST.first(4)))


def test_a_collapsed_encoder_has_a_map_of_one_point(store: RunStore) -> None:
    subject = subject_of(store, dataclasses.replace(WISH, projection="tsne"))
    with torch.no_grad():
        for parameter in subject.model.encoder.parameters():
            parameter.zero_()
    embedding.run(subject)
    assert {(point["x"], point["y"]) for point in read(subject)["points"]} == {(0.5, 0.5)}
