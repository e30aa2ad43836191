"""Accuracy over the number of labels, over several draws of them: the figure of the UvA tutorial 17 with intervals.

For each number of labels per class some subsets of `train` are drawn, and each is all that kNN (k = 20) or a linear
classifier sees of it: mean and deviation of the features and the choice of C come from the subset too. Every
protocol gets the same subsets, the tutorial's AdamW probe included (the tutorial itself takes the first images of
each class, one draw). On STL10 the ten official folds of 1,000 images are scored besides (Coates, Lee and Ng 2011).

Where a number takes all of `train` there is one subset, so it is scored once and has no interval. Shapes: M images of
a subset, N of `train`, D features.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trainer import randomness
from trainer.data import stl10
from trainer.errors import ConfigError
from trainer.evaluation.label_results import show
from trainer.evaluation.names import DEFAULT_LABEL_COUNTS, LAYERS, PROTOCOLS
from trainer.evaluation.subject import Subject
from trainer.evaluation.subsets import class_counts, made_before, nested_subset
from trainer.knn import knn_accuracy
from trainer.linear_probe import adamw_probe, fit_probe, score
from trainer.paths import typed_path

FEWEST = 2
"""Labels per class below which no strength of the linear probe can be chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """A subset of `train`, and the figure that is made of it."""

    protocol: str
    labels_per_class: int
    seed: int
    """Number of the draw or the fold, from 0."""
    rows: Tensor
    """int64 (M,), indices into `train`."""
    fit_seed: int
    """Of what the fit draws: the images that C is chosen on, or the order of AdamW's batches."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What was learnt from a subset; `test` comes in only now."""

    score: Callable[[Tensor, Tensor], tuple[float, float]]
    """(top1, top5) of features and their labels."""
    columns: dict[str, Any]
    """What else the row tells of the fit."""
    converged: bool = True


def run(subject: Subject) -> None:
    """Score every draw, write each figure as it is made, then show and keep them as a table and a chart.

    A job that was interrupted goes on with the figures that are missing.

    Raises:
        ConfigError: a class has too few labelled images for a number that was asked for.
        DataError: the data set has no labels to learn from or to score, or its folds can't be read.
        EndRequested: the job was asked to end; the figures made so far are in the store.
    """
    subject.require_labels()
    draws = plan(subject)
    layers = ["h", "untrained"] if subject.wish.baselines else ["h"]
    made = {(row.layer, row.protocol, row.labels_per_class, row.seed) for row in made_before(subject)}
    done, total = 0, len(layers) * len(draws)
    for layer in layers:
        left = [draw for draw in draws if (layer, draw.protocol, draw.labels_per_class, draw.seed) not in made]
        done += len(draws)
        if left:
            _score_layer(subject, layer, left, done - len(left), total)
    subject.progress(total, total, "done")
    show(subject, made_before(subject))


def plan(subject: Subject) -> list[Draw]:
    """Every subset and protocol, the smallest numbers first. Looks at the labels of `train` and at no image.

    Raises:
        ConfigError: a class has too few labelled images for a number that was asked for.
        DataError: STL10's folds can't be read.
    """
    protocols = ("knn", "linear", "linear-adamw") if subject.wish.tutorial_probe else ("knn", "linear")
    draws = []
    for count in label_counts(subject):
        takes_all = count * subject.classes == len(subject.train)
        for seed in range(1 if takes_all else subject.wish.seeds):
            names = ("labels", seed)
            rows = nested_subset(subject.train.labels, [count] * subject.classes, subject.generator(*names))
            fit_seed = randomness.key(subject.wish.seed, *names)
            draws += [Draw(protocol, count, seed, rows, fit_seed) for protocol in protocols]
    return draws + list(_folds(subject))


def label_counts(subject: Subject) -> tuple[int, ...]:
    """The numbers of labels per class: those asked for, else the tutorial's that every class can give and last all
    that the smallest class has.

    Raises:
        ConfigError: a class has too few labelled images.
    """
    counts = class_counts(subject.train.labels, subject.classes)
    most = min(counts)
    name = subject.train.classes[counts.index(most)]
    if most < FEWEST:
        raise ConfigError(
            "labels_per_class",
            f"class {name} has {most} labelled train images, and a curve needs {FEWEST} of each class; label more",
        )
    asked = subject.wish.label_counts
    if asked and asked[-1] > most:
        raise ConfigError(
            "labels_per_class",
            f"class {name} has {most} labelled train images, which is fewer than {asked[-1]}; give at most {most}",
        )
    if asked and asked[0] < FEWEST:
        raise ConfigError(
            "labels_per_class",
            f"{asked[0]} leaves no image to choose the strength of the linear probe on; give at least {FEWEST}",
        )
    return asked or (*(count for count in DEFAULT_LABEL_COUNTS if count < most), most)


def _folds(subject: Subject) -> Iterator[Draw]:
    """STL10's official folds, where the data set is STL10 with its whole train split."""
    config = subject.config
    if config.dataset != "stl10" or config.limit_per_class or not subject.wish.folds:
        return
    for number, rows in enumerate(stl10.folds(typed_path(config.data_dir))):
        count = round(len(rows) / subject.classes)
        yield Draw("linear-folds", count, number, rows, randomness.key(subject.wish.seed, "folds", number))


def _score_layer(subject: Subject, layer: str, draws: list[Draw], before: int, total: int) -> None:
    """Fit and score each draw on one layer's features, and put its row."""
    model = subject.untrained() if layer == "untrained" else None
    subject.progress(before, total, f"features of {LAYERS[layer]}")
    train, test, check = subject.train, subject.test, subject.job.control.check
    train_ND, test_ND = (subject.features(split, model)["h"] for split in (train, test))
    for number, draw in enumerate(draws, start=before):
        detail = f"{LAYERS[layer]}: {PROTOCOLS[draw.protocol]}, {draw.labels_per_class} per class"
        subject.progress(number, total, detail)
        begun = time.perf_counter()
        fitted = fit(draw, train_ND[draw.rows], train.labels[draw.rows], subject.classes, check)
        if not fitted.converged:
            subject.job.warn("probe-unfinished", f"the linear probe of {detail} ran out of iterations")
        top1, top5 = fitted.score(test_ND, test.labels)
        row = {"layer": layer, "protocol": draw.protocol, "labels_per_class": draw.labels_per_class, "seed": draw.seed}
        row |= {"top1": top1, "top5": top5, "images": len(test), "seconds": time.perf_counter() - begun}
        subject.put([row | fitted.columns])


def fit(draw: Draw, bank_MD: Tensor, labels_M: Tensor, classes: int, check: Callable[[], None]) -> Fitted:
    """Learn from a subset and from nothing else.

    Args:
        draw: which protocol, and the seed of the fit.
        bank_MD: the subset's features.
        labels_M: and its labels.
        classes: number of classes K.
        check: called now and then; it may raise to stop.
    """
    if draw.protocol == "knn":
        return Fitted(lambda x_ND, labels_N: knn_accuracy(bank_MD, labels_M, x_ND, labels_N, classes=classes), {})
    way = adamw_probe if draw.protocol == "linear-adamw" else fit_probe
    probe = way(bank_MD, labels_M, classes, draw.fit_seed, check)
    columns = {"c": probe.C, "train_top1": score(probe, bank_MD, labels_M)[0]}
    return Fitted(lambda x_ND, labels_N: score(probe, x_ND, labels_N), columns, probe.converged)
