"""kNN and linear accuracy of every layer, beside raw pixels and the untrained encoder.

It answers why the loss is put on z and h is kept: h usually scores higher, because g throws away what the
augmentations change (Chen et al. 2020, arXiv 2002.05709, section 4.2).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table
from torch import Tensor

from trainer.accuracy import top_accuracy
from trainer.evaluation.names import LAYERS, PROTOCOLS
from trainer.evaluation.subject import FEATURE_BATCH, Subject
from trainer.features import pixels
from trainer.knn import knn_accuracy
from trainer.linear_probe import Probe, adamw_probe, fit_probe, score


@dataclass(frozen=True, slots=True)
class LayerFeatures:
    """One layer's features of both labelled splits, float32 (N, D)."""

    layer: str
    train_ND: Tensor
    test_ND: Tensor


def run(subject: Subject) -> list[dict[str, Any]]:
    """Score every layer, write each figure as it is made, and show the table.

    Raises:
        DataError: the data set has no labels to learn from or to score.
        EndRequested: the job was asked to end; the figures made so far are in the store.
    """
    subject.require_labels()
    layers = layer_names(subject)
    rows: list[dict[str, Any]] = []
    for number, features in enumerate(layer_features(subject)):
        subject.progress(number, len(layers), LAYERS[features.layer])
        rows += subject.put([{"layer": features.layer, **row} for row in _score(subject, features)])
    subject.progress(len(layers), len(layers), "done")
    _show(subject, rows)
    return rows


def layer_names(subject: Subject) -> list[str]:
    """The layers that are scored, in the order of LAYERS."""
    names = {*subject.model.layer_names, *(("pixels", "untrained") if subject.wish.baselines else ())}
    return [name for name in LAYERS if name in names]


def layer_features(subject: Subject) -> Iterator[LayerFeatures]:
    """The features of each layer of `layer_names`, made when they are asked for."""
    own: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
    for name in layer_names(subject):
        if name == "pixels":
            yield LayerFeatures(name, *(_pixels(subject, split) for split in (subject.train, subject.test)))
        elif name == "untrained":
            model = subject.untrained()
            train, test = (subject.features(split, model)["h"] for split in (subject.train, subject.test))
            yield LayerFeatures(name, train, test)
        else:
            own = own or (subject.features(subject.train), subject.features(subject.test))
            yield LayerFeatures(name, own[0][name], own[1][name])


def _pixels(subject: Subject, split: Any) -> Tensor:
    return pixels(
        split.images.take,
        len(split.images),
        FEATURE_BATCH,
        subject.job.control.check,
        normalisation=subject.config.normalisation,
    )


def _score(subject: Subject, features: LayerFeatures) -> Iterator[dict[str, Any]]:
    """The rows of one layer, one a protocol."""
    train, test, classes = subject.train, subject.test, subject.classes
    x = features

    def by_knn() -> dict[str, Any]:
        top1, top5 = knn_accuracy(x.train_ND, train.labels, x.test_ND, test.labels, classes=classes)
        return {"top1": top1, "top5": top5}

    def by_probe(fit: Callable[..., Probe]) -> dict[str, Any]:
        probe = fit(x.train_ND, train.labels, classes, subject.wish.seed, subject.job.control.check)
        if not probe.converged:
            subject.job.warn("probe-unfinished", f"the linear probe of {LAYERS[x.layer]} ran out of iterations")
        top1, top5 = score(probe, x.test_ND, test.labels)
        return {"top1": top1, "top5": top5, "c": probe.C, "train_top1": score(probe, x.train_ND, train.labels)[0]}

    ways: dict[str, Callable[[], dict[str, Any]]] = {"knn": by_knn, "linear": lambda: by_probe(fit_probe)}
    if subject.wish.tutorial_probe:
        ways["linear-adamw"] = lambda: by_probe(adamw_probe)
    for protocol, way in ways.items():
        begun = time.perf_counter()
        row = way()
        yield {"protocol": protocol, "images": len(test), "seconds": time.perf_counter() - begun, **row}
    if x.layer == "logits" and not subject.wish.dataset:  # its classes are those of the run's own data set
        (top1, top5), (train_top1, _) = top_accuracy(x.test_ND, test.labels), top_accuracy(x.train_ND, train.labels)
        figures = {"top1": top1, "top5": top5, "train_top1": train_top1}
        yield {"protocol": "classifier", "images": len(test), "seconds": 0.0, **figures}


def _show(subject: Subject, rows: list[dict[str, Any]]) -> None:
    """Print the accuracies, layer by protocol."""
    dataset = subject.dataset
    kind = "synthetic images" if dataset.synthetic else "images"
    table = Table(title=escape(f"{dataset.name}: accuracy on {len(subject.test):,} test {kind}, %"))
    table.add_column("features")
    figures = {(row["layer"], row["protocol"]): row["top1"] for row in rows}
    made = [protocol for protocol in PROTOCOLS if any(row["protocol"] == protocol for row in rows)]
    for protocol in made:
        table.add_column(PROTOCOLS[protocol], justify="right")
    for layer, words in LAYERS.items():
        if (layer, "knn") in figures:
            scored = (figures.get((layer, protocol)) for protocol in made)
            table.add_row(words, *("–" if one is None else f"{100 * one:.1f}" for one in scored))
    subject.job.reporter.table(table)
