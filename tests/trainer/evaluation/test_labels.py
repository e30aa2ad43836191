"""The curve over the number of labels: which subsets are drawn, and that nothing but them is learnt from."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tests.trainer.evaluation.subjects import (
    EndingReporter,
    GuardedSplit,
    colours,
    ended_by_sigterm,
    figures,
    make_subject,
    refused_setting,
)
from trainer.data.split import Split
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation import labels
from trainer.evaluation.labels import Draw, Fitted, label_counts, plan, run
from trainer.evaluation.subject import Subject
from trainer.linear_probe import C_PATH, fit_probe, score
from trainer.run import main
from trainer.start import new_evaluate_run
from trainer.store import RunStore

WISH = EvaluateConfig(what="labels", seeds=3, labels_per_class="4,8", device="cpu", threads=1)
FEW = dataclasses.replace(WISH, seeds=2, labels_per_class="4")
TRAIN, TEST = colours("train", (20, 20, 20)), colours("test", (15, 15, 15))
REAL_FIT = labels.fit


def subject_of(
    store: RunStore, wish: EvaluateConfig = WISH, *, train: Split = TRAIN, test: Any = TEST, **more: Any
) -> Subject:
    return make_subject(store, wish, train=train, test=test, **more)


def asks(**changes: Any) -> EvaluateConfig:
    return dataclasses.replace(WISH, **changes)


@dataclasses.dataclass
class Fit:
    """A fit that was made, and what it was given."""

    draw: Draw
    bank: Tensor
    labels: Tensor
    fitted: Fitted


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Fit]:
    """Every fit that is made from here on."""
    made: list[Fit] = []

    def note(draw: Draw, bank: Tensor, its_labels: Tensor, classes: int, check: Callable[[], None]) -> Fitted:
        fitted = REAL_FIT(draw, bank, its_labels, classes, check)
        made.append(Fit(draw, bank.clone(), its_labels.clone(), fitted))
        return fitted

    monkeypatch.setattr(labels, "fit", note)
    return made


def test_a_job_scores_every_draw_and_leaves_table_chart_and_file(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["--image-size=16", "--backbone=resnet-narrow", "--head-width=8", "--projection-size=4", "--batch-size=16"]
    limits = ["--dataset=shapes", "--limit-per-class=12", "--limit-test-per-class=5", "--epochs=1", "--num-workers=0"]
    machine = ["--threads=1", "--device=cpu", "--no-evaluate-at-end"]
    assert main(["--runs-dir", str(runs), "--name", "a", *tiny, *limits, *machine]) == 0
    source = store.find("a")
    wish = EvaluateConfig(what="labels", seeds=2, device="cpu", threads=1, tutorial_probe=True)
    job_id = new_evaluate_run(store, source, wish)
    assert main(["--runs-dir", str(runs), "--run", job_id]) == 0
    rows = store.evaluations(source.id)
    kinds = Counter((row.layer, row.protocol, row.labels_per_class) for row in rows)
    protocols = ("knn", "linear", "linear-adamw")
    expected = {(layer, name, 10): 2 for layer in ("h", "untrained") for name in protocols}
    assert kinds == expected | {(layer, name, 12): 1 for layer in ("h", "untrained") for name in protocols}
    assert {row.seed for row in rows if row.labels_per_class == 10} == {0, 1}
    assert all(row.images == 50 and row.job_id == job_id and row.step == source.step for row in rows)
    assert all(0 <= row.top1 <= row.top5 <= 1 for row in rows if row.top1 is not None and row.top5 is not None)
    assert {row.c is not None for row in rows if row.protocol == "linear"} == {True}
    kinds_of_files = {artifact.name: artifact.kind for artifact in store.artifacts(source.id)}
    assert kinds_of_files == {
        "step-7/labels.svg": "picture",
        "step-7/labels.png": "picture",
        "step-7/labels.csv": "table",
    }
    printed = capsys.readouterr().out
    assert "shapes: accuracy on 50 test synthetic images by labels per class, %" in printed
    assert "95 % interval" in printed


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((600, 600), (10, 20, 50, 100, 200, 500, 600)),
        ((500, 500), (10, 20, 50, 100, 200, 500)),
        ((60, 33), (10, 20, 33)),
        ((5, 4, 9), (4,)),
    ],
)
def test_by_default_the_tutorials_numbers_and_last_all_of_the_smallest_class(
    store: RunStore, counts: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    subject = subject_of(store, asks(labels_per_class=""), train=colours("train", counts))
    assert label_counts(subject) == expected


def test_numbers_that_were_asked_for_are_those_scored(store: RunStore) -> None:
    assert label_counts(subject_of(store, asks(labels_per_class="2,20"))) == (2, 20)


@pytest.mark.parametrize(
    ("asked", "counts", "sentence"),
    [
        ("4,21", (30, 20, 30), "class c1 has 20 labelled train images, which is fewer than 21; give at most 20"),
        ("1,4", (30, 20, 30), "1 leaves no image to choose the strength of the linear probe on; give at least 2"),
        ("", (30, 1, 30), "class c1 has 1 labelled train images, and a curve needs 2 of each class; label more"),
        ("", (30, 30, 0), "class c2 has 0 labelled train images, and a curve needs 2 of each class; label more"),
    ],
)
def test_what_a_class_cannot_give_is_refused_before_anything_is_computed(
    store: RunStore, asked: str, counts: tuple[int, ...], sentence: str
) -> None:
    train = colours("train", counts)
    subject = subject_of(store, asks(labels_per_class=asked), train=train, test=GuardedSplit(TEST, images_too=True))
    assert refused_setting(store, subject, run, sentence) == "labels_per_class"


def test_every_draw_has_so_many_of_each_class_and_protocols_share_it(store: RunStore) -> None:
    draws = plan(subject_of(store, asks(tutorial_probe=True)))
    assert len(draws) == 2 * 3 * 3
    for draw in draws:
        assert torch.bincount(TRAIN.labels[draw.rows]).tolist() == [draw.labels_per_class] * 3
    rows = {(draw.protocol, draw.labels_per_class, draw.seed): set(draw.rows.tolist()) for draw in draws}
    for seed in range(3):
        assert rows["knn", 4, seed] == rows["linear", 4, seed] == rows["linear-adamw", 4, seed]
        assert rows["knn", 4, seed] < rows["knn", 8, seed], "a larger draw holds the smaller one"
    assert len({frozenset(rows["knn", 4, seed]) for seed in range(3)}) == 3
    again = plan(subject_of(store, asks(tutorial_probe=True)))
    assert all(torch.equal(one.rows, other.rows) for one, other in zip(draws, again, strict=True))
    other_seed = plan(subject_of(store, asks(tutorial_probe=True, seed=1)))
    assert not any(torch.equal(one.rows, other.rows) for one, other in zip(draws, other_seed, strict=True))


def test_all_of_train_is_one_subset_and_scored_once(store: RunStore) -> None:
    draws = plan(subject_of(store, asks(labels_per_class="19,20")))
    assert Counter(draw.labels_per_class for draw in draws) == {19: 6, 20: 2}
    unequal = plan(subject_of(store, asks(labels_per_class=""), train=colours("train", (5, 4, 9))))
    assert Counter(draw.labels_per_class for draw in unequal) == {4: 6}, "a smaller class leaves others a choice"


def majority_of_20(bank: Tensor, its_labels: Tensor, query: Tensor) -> int:
    """The class with the most of the 20 nearest by cosine; of equal ones that with the nearest image."""
    nearest = torch.cosine_similarity(bank, query[None]).argsort(descending=True)[:20]
    votes: list[int] = its_labels[nearest].tolist()
    return max(votes, key=lambda label: (votes.count(label), -votes.index(label)))


def test_a_figure_is_that_of_a_classifier_of_the_subset_alone(store: RunStore, fits: list[Fit]) -> None:
    subject = subject_of(store, asks(seeds=1, labels_per_class="8", baselines=False))
    run(subject)
    train, test = subject.features(TRAIN)["h"], subject.features(TEST)["h"]
    by_protocol = {fit.draw.protocol: fit for fit in fits}
    assert all(torch.equal(fit.bank, train[fit.draw.rows]) for fit in fits)
    put = figures(store, subject)
    rows = by_protocol["knn"].draw.rows
    votes = [majority_of_20(train[rows], TRAIN.labels[rows], query) for query in test]
    right = [vote == label for vote, label in zip(votes, TEST.labels.tolist(), strict=True)]
    assert put["h", "knn", 8, 0][0] == pytest.approx(sum(right) / len(TEST))
    top1, _, train_top1, c, images = put["h", "linear", 8, 0]
    assert c in C_PATH
    scaler = StandardScaler().fit(train[rows].double().numpy())
    model = LogisticRegression(C=c, tol=1e-9, max_iter=100_000)
    model.fit(scaler.transform(train[rows].double().numpy()), TRAIN.labels[rows].numpy())
    reference = model.score(scaler.transform(test.double().numpy()), TEST.labels.numpy())
    assert top1 == pytest.approx(reference, abs=0.03)
    assert reference > 0.5, "colours can be told"
    assert train_top1 >= top1
    assert images == 45


def test_choice_and_weights_do_not_depend_on_the_labels_of_test(store: RunStore, fits: list[Fit]) -> None:
    wish = asks(seeds=1, labels_per_class="8", tutorial_probe=True, baselines=False)
    first = subject_of(store, wish)
    run(first)
    shuffled = dataclasses.replace(TEST, labels=TEST.labels[torch.randperm(45, generator=torch.Generator())])
    second = subject_of(store, wish, test=shuffled)
    run(second)
    one, other = figures(store, first), figures(store, second)
    assert any(one[key][0] != other[key][0] for key in one), "they are scored on other labels"
    assert all(one[key][2:] == other[key][2:] for key in one), "C and the accuracy on what was learnt stay"
    half = len(fits) // 2
    probes = torch.eye(fits[0].bank.shape[1])
    for before, after in zip(fits[:half], fits[half:], strict=True):
        assert torch.equal(before.bank, after.bank)
        assert torch.equal(before.labels, after.labels)
        expected = [before.fitted.score(probes, torch.full((len(probes),), label)) for label in range(3)]
        assert expected == [after.fitted.score(probes, torch.full((len(probes),), label)) for label in range(3)]


def test_a_fit_is_given_images_of_train_and_test_is_opened_after_it(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = GuardedSplit(TEST)
    subject = subject_of(store, asks(tutorial_probe=True, seeds=1, labels_per_class="8"), test=guard)
    train = [subject.features(TRAIN)["h"], subject.features(TRAIN, subject.untrained())["h"]]

    def closed(draw: Draw, bank: Tensor, its_labels: Tensor, classes: int, check: Callable[[], None]) -> Fitted:
        guard.closed = True
        assert any(torch.equal(bank, features[draw.rows]) for features in train)
        assert torch.equal(its_labels, TRAIN.labels[draw.rows])
        fitted = REAL_FIT(draw, bank, its_labels, classes, check)
        guard.closed = False
        return fitted

    monkeypatch.setattr(labels, "fit", closed)
    run(subject)
    assert len(figures(store, subject)) == 2 * 3


def test_the_guard_catches_a_choice_made_on_test(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = GuardedSplit(TEST)
    subject = subject_of(store, asks(seeds=1), test=guard)
    test = subject.features(TEST)["h"]

    def choose_on_test(draw: Draw, bank: Tensor, its_labels: Tensor, classes: int, check: Callable[[], None]) -> Fitted:
        probes = [fit_probe(bank, its_labels, classes, 0, check, strengths=[c]) for c in C_PATH]
        best = max(probes, key=lambda probe: score(probe, test, subject.test.labels))
        return Fitted(lambda x, y: score(best, x, y), {})

    monkeypatch.setattr(labels, "fit", choose_on_test)
    with pytest.raises(AssertionError, match="before the fit was done"):
        run(subject)


def test_the_fit_seed_is_the_draws_and_not_the_counts(store: RunStore) -> None:
    seeds = {(draw.labels_per_class, draw.seed): draw.fit_seed for draw in plan(subject_of(store))}
    assert seeds[4, 0] == seeds[8, 0] != seeds[4, 1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The figures of a job that nothing interrupts."""
    store = RunStore.open(tmp_path_factory.mktemp("uninterrupted"))
    subject = subject_of(store, FEW)
    run(subject)
    made = figures(store, subject)
    store.close()
    return made


@pytest.mark.parametrize("done", [pytest.param(2, marks=pytest.mark.reliability), 5])
def test_an_interrupted_job_goes_on_with_what_is_missing(
    store: RunStore, fits: list[Fit], uninterrupted: dict[tuple[Any, ...], tuple[Any, ...]], done: int
) -> None:
    ended = subject_of(store, FEW, reporter=EndingReporter(done))
    with ended_by_sigterm(ended):
        run(ended)
    assert len(figures(store, ended)) == len(fits) == done
    assert store.artifacts(ended.source_id) == []
    resumed = subject_of(store, FEW, job_id=ended.job.run.id)
    run(resumed)
    assert len(fits) == len(uninterrupted) == 8, "no figure is made twice"
    assert figures(store, resumed) == uninterrupted
    assert len(store.artifacts(ended.source_id)) == 3
