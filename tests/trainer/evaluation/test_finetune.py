"""Fine-tuning jobs: what they learn from, what they score, and what an interruption leaves."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.evaluation.subjects import (
    EndingReporter,
    GuardedSplit,
    colours,
    ended_by_sigterm,
    figures,
    make_subject,
    refused_setting,
)
from trainer.accuracy import top_accuracy
from trainer.augment import normalise
from trainer.data.split import Split
from trainer.evaluate_config import EvaluateConfig
from trainer.evaluation import finetune
from trainer.evaluation.finetune import plan, run
from trainer.evaluation.finetune_steps import Classifier, Part, new_classifier, train
from trainer.evaluation.subject import Subject
from trainer.run import main
from trainer.start import new_evaluate_run
from trainer.store import RunStore

WISH = EvaluateConfig(
    what="finetune", fractions="20,100", finetune_epochs=3, finetune_batch_size=16, device="cpu", threads=1
)
TRAIN, TEST = colours("train", (10, 10, 10), noise=60.0), colours("test", (7, 7, 7), noise=60.0)


def subject_of(
    store: RunStore, wish: EvaluateConfig = WISH, *, train: Split = TRAIN, test: Any = TEST, **more: Any
) -> Subject:
    return make_subject(store, wish, train=train, test=test, **more)


def asks(**changes: Any) -> EvaluateConfig:
    return dataclasses.replace(WISH, **changes)


def test_a_job_puts_a_row_for_each_part_and_encoder(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = ["--image-size=16", "--backbone=resnet-narrow", "--head-width=8", "--projection-size=4", "--batch-size=16"]
    limits = ["--dataset=shapes", "--limit-per-class=5", "--limit-test-per-class=3", "--epochs=1", "--num-workers=0"]
    machine = ["--threads=1", "--device=cpu", "--no-evaluate-at-end"]
    assert main(["--runs-dir", str(runs), "--name", "a", *tiny, *limits, *machine]) == 0
    source = store.find("a")
    job_id = new_evaluate_run(store, source, asks(finetune_epochs=1))
    assert main(["--runs-dir", str(runs), "--run", job_id]) == 0
    rows = store.evaluations(source.id)
    assert [(row.protocol, row.layer, row.labels_per_class) for row in rows] == [
        ("finetune", layer, count) for count in (1, 5) for layer in ("h", "untrained")
    ]
    assert all(row.images == 30 and row.job_id == job_id and row.step == source.step for row in rows)
    assert all(row.seed == 0 and row.train_top1 is not None and row.c is None for row in rows)
    printed = capsys.readouterr().out
    assert "shapes: fine-tuned, accuracy on 30 test synthetic images, %" in printed
    assert "20 % (1 per class)" in printed


def test_parts_keep_the_share_of_each_class_and_lie_within_each_other(store: RunStore) -> None:
    train = colours("train", (20, 10, 31))
    parts = plan(subject_of(store, asks(fractions="10,50,100"), train=train))
    assert [torch.bincount(part.images.labels).tolist() for part in parts] == [[2, 1, 3], [10, 5, 16], [20, 10, 31]]
    assert [part.labels_per_class for part in parts] == [2, 10, 20]
    assert [part.words for part in parts] == ["10 %", "50 %", "100 %"]
    pixels = [{image.numpy().tobytes() for image in part.images.images.take(range(len(part.images)))} for part in parts]
    assert pixels[0] < pixels[1] < pixels[2]
    first = {image.numpy().tobytes() for image in train.first_of_each_class(10).images.take(range(30))}
    assert not pixels[1] <= first, "they are drawn, and not the first images"
    own = {
        image.numpy().tobytes(): int(label)
        for image, label in zip(train.images.take(range(61)), train.labels, strict=True)
    }
    taken = parts[1].images
    assert [own[image.numpy().tobytes()] for image in taken.images.take(range(31))] == taken.labels.tolist()


def test_seven_percent_of_a_hundred_is_seven(store: RunStore) -> None:
    parts = plan(subject_of(store, asks(fractions="1,7,29"), train=colours("train", (100, 100))))
    assert [part.labels_per_class for part in parts] == [1, 7, 29]


@pytest.mark.parametrize(
    ("fractions", "counts", "sentence"),
    [
        ("1,10", (100, 60, 100), "1 % of the 60 labelled train images of class c1 is less than one; give at least 2"),
        ("9.9", (10, 10, 10), r"9.9 % of the 10 labelled train images of class c0 is less than one; give at least 10"),
        ("10", (10, 0, 10), "class c1 has no labelled train image to learn from"),
        ("20,21", (10, 10, 10), "20 % and 21 % are both 2 labels per class; leave one of them out"),
    ],
)
def test_parts_that_cannot_be_are_refused_before_anything_is_computed(
    store: RunStore, fractions: str, counts: tuple[int, ...], sentence: str
) -> None:
    train = colours("train", counts)
    subject = subject_of(store, asks(fractions=fractions), train=train, test=GuardedSplit(TEST, images_too=True))
    assert refused_setting(store, subject, run, sentence) == "fractions"


def test_all_of_test_is_scored_in_eval_mode_after_the_last_epoch(store: RunStore) -> None:
    wish = asks(fractions="100", finetune_epochs=12, baselines=False, finetune_learning_rate=3e-3)
    subject = subject_of(store, wish)
    run(subject)
    again = subject_of(store, wish)
    part = plan(again)[0]
    classifier = new_classifier(again, "h", part)
    losses = list(train(again, classifier, part))
    assert losses[-1] < 0.5 * losses[0], "colours can be learnt"
    classifier.eval()
    scores = []
    for split in (TEST, TRAIN):
        right = 0
        for index in range(len(split)):
            logits = classifier(normalise(split.images.take([index]), "half"))
            right += int(logits.argmax()) == int(split.labels[index])
        scores.append(right / len(split))
    row = figures(store, subject)["h", "finetune", 10, 0]
    assert row[0] == pytest.approx(scores[0])
    assert row[1] == 1.0, "there are three classes"
    assert row[2] == pytest.approx(scores[1])
    assert row[4] == 21
    assert scores[0] > 0.6


def test_test_is_not_looked_at_before_training_is_over(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = GuardedSplit(TEST, images_too=True)
    subject = subject_of(store, test=guard)

    def closed(subject: Subject, classifier: Classifier, part: Part) -> Iterator[float]:
        guard.closed = True
        yield from train(subject, classifier, part)
        guard.closed = False

    monkeypatch.setattr(finetune, "train", closed)
    run(subject)
    assert len(figures(store, subject)) == 4


def test_weights_do_not_depend_on_the_labels_of_test(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Classifier] = []

    def note(subject: Subject, classifier: Classifier, part: Part) -> Iterator[float]:
        yield from train(subject, classifier, part)
        trained.append(classifier)

    monkeypatch.setattr(finetune, "train", note)
    shuffled = dataclasses.replace(TEST, labels=(TEST.labels + 1) % 3)
    for test in (TEST, shuffled):
        run(subject_of(store, asks(fractions="20", baselines=False), test=test))
    one, other = (classifier.state_dict() for classifier in trained)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("epochs", "rows"),
    [
        pytest.param(2, 0, marks=pytest.mark.reliability),
        (4, 1),
        pytest.param(10, 3, marks=pytest.mark.reliability),
    ],
)
def test_an_interrupted_job_goes_on_with_the_parts_that_are_missing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, epochs: int, rows: int
) -> None:
    whole = subject_of(store)
    run(whole)
    ended = subject_of(store, reporter=EndingReporter(epochs))
    with ended_by_sigterm(ended):
        run(ended)
    assert len(figures(store, ended)) == rows
    trained: list[str] = []

    def note(subject: Subject, classifier: Classifier, part: Part) -> Iterator[float]:
        trained.append(part.words)
        return train(subject, classifier, part)

    monkeypatch.setattr(finetune, "train", note)
    resumed = subject_of(store, job_id=ended.job.run.id)
    run(resumed)
    assert trained == ["20 %", "20 %", "100 %", "100 %"][rows:]
    assert figures(store, resumed) == figures(store, whole)


def test_accuracy_is_of_the_classes_with_the_highest_logits() -> None:
    logits = torch.tensor([[5.0, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]])
    assert top_accuracy(logits, torch.tensor([0, 0, 4])) == pytest.approx((1 / 3, 2 / 3))
