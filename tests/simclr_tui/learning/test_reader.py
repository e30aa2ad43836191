"""What the feed reads of a run's representation: only what is new, and a damaged map is a sentence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simclr_tui.embedding import EmbeddingMap, parse_map
from simclr_tui.learning.reader import LearningReader
from simclr_tui.model import Baseline, Learning
from tests.simclr_tui.learning_store import about, add_studied_run, label_rows, put_map
from tests.simclr_tui.support import add_run
from trainer.store.runs import RunStore


@pytest.fixture
def store(runs: Path) -> Iterator[RunStore]:
    add_studied_run(runs)
    opened = RunStore.open(runs)
    yield opened
    opened.close()


def read(reader: LearningReader, store: RunStore) -> Learning | None:
    return reader.read(store, store.run(reader.run_id), store.runs())


def test_all_that_was_found_is_read_once(store: RunStore) -> None:
    reader = LearningReader(store.find("studied").id)
    learning = read(reader, store)
    assert learning is not None
    assert learning.embedding is not None
    assert len(learning.embedding.points) == 60
    assert learning.problem == ""
    assert {one.name for one in learning.artifacts} == {"map.json", "labels.svg"}
    assert read(reader, store) is None, "nothing is new"


def test_what_an_evaluation_adds_is_read(store: RunStore) -> None:
    run_id = add_run(store, "young", steps=46)
    reader = LearningReader(run_id)
    first = read(reader, store)
    assert first is not None
    assert not first.findings.studies
    store.put_evaluations(run_id, label_rows())
    later = read(reader, store)
    assert later is not None
    assert later.findings.study("labels") is not None


def test_the_map_is_parsed_only_when_its_row_changes(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str | bytes] = []

    def parse(text: str | bytes) -> EmbeddingMap:
        parsed.append(text)
        return parse_map(text)

    monkeypatch.setattr("simclr_tui.learning.reader.parse_map", parse)
    reader = LearningReader(store.find("studied").id)
    for _ in range(3):
        read(reader, store)
    assert len(parsed) == 1
    put_map(store, reader.run_id, projection="pca")
    learning = read(reader, store)
    assert learning is not None
    assert learning.embedding is not None
    assert (len(parsed), learning.embedding.projection) == (2, "pca")


@pytest.mark.parametrize("damage", ["gone", "cut", "folder"])
def test_a_damaged_map_is_a_sentence_that_names_file_reason_and_remedy(store: RunStore, damage: str) -> None:
    run_id = store.find("studied").id
    path = put_map(store, run_id)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    if damage == "folder":
        path.mkdir()
    learning = read(LearningReader(run_id), store)
    assert learning is not None
    assert learning.embedding is None
    assert learning.problem.startswith(str(path.relative_to(store.runs_path)))
    assert learning.problem.endswith("e makes the map again")
    assert "\n" not in learning.problem


def test_a_map_that_is_made_again_mends_a_damaged_one(store: RunStore) -> None:
    run_id = store.find("studied").id
    path = put_map(store, run_id)
    path.write_text("not a map")
    reader = LearningReader(run_id)
    read(reader, store)
    put_map(store, run_id)
    learning = read(reader, store)
    assert learning is not None
    assert (learning.problem, learning.embedding is not None) == ("", True)


def test_supervised_runs_on_the_same_images_are_baselines_and_others_are_not(store: RunStore) -> None:
    other = add_run(store, "small", steps=23, method="cross-entropy", limit_per_class=5)
    store.put_evaluations(other, [about(protocol="classifier", layer="logits", top1=0.5)])
    unscored = add_run(store, "unscored", steps=23, method="cross-entropy")
    assert not store.evaluations(unscored)
    learning = read(LearningReader(store.find("studied").id), store)
    assert learning is not None
    assert learning.baselines == (Baseline("teacher", 0.733),)
