"""Fine-tuning with few labels: the encoder and a new linear classifier, trained on together with cross-entropy.

The protocol of SimCLR's semi-supervised table (Chen et al. 2020, arXiv 2002.05709, appendix B.5): all weights learn,
crop and flip are the only augmentation, nothing is regularised, there is no warm-up. In place of its SGD with large
batches there is AdamW with a cosine to zero. Whatever the last epoch leaves is scored on `test`, so nothing is chosen.

Shapes: N images, K classes.
"""

import time
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table
from torch import Tensor

from trainer.accuracy import top_accuracy
from trainer.data.split import Split
from trainer.errors import ConfigError
from trainer.evaluation.finetune_steps import Classifier, Part, new_classifier, train
from trainer.evaluation.names import LAYERS
from trainer.evaluation.subject import FEATURE_BATCH, Subject
from trainer.evaluation.subsets import class_counts, made_before, nested_subset
from trainer.features import extract


def run(subject: Subject) -> None:
    """Fine-tune on each part of the labels, write each figure as it is made, and show the table.

    A job that was interrupted goes on with the figures that are missing; one that was under way begins anew.

    Raises:
        ConfigError: a part has less than one label of some class.
        DataError: the data set has no labels to learn from or to score.
        EndRequested: the job was asked to end; the figures made so far are in the store.
        NonFiniteError: the loss is not finite.
    """
    subject.require_labels()
    parts = plan(subject)
    layers = ["h", "untrained"] if subject.wish.baselines else ["h"]
    made = {(row.layer, row.labels_per_class) for row in made_before(subject)}
    wanted = [(part, layer) for part in parts for layer in layers]
    epochs = len(wanted) * subject.wish.finetune_epochs
    for number, (part, layer) in enumerate(wanted):
        if (layer, part.labels_per_class) not in made:
            detail = f"{LAYERS[layer]}, {part.words} of the labels"
            begun = time.perf_counter()
            classifier = new_classifier(subject, layer, part)
            for epoch, loss in enumerate(train(subject, classifier, part)):
                done = number * subject.wish.finetune_epochs + epoch
                subject.progress(done + 1, epochs, f"{detail}, loss {loss:.3f}")
            _score(subject, classifier, layer, part, begun)
    subject.progress(epochs, epochs, "done")
    _show(subject, parts, layers)


def plan(subject: Subject) -> list[Part]:
    """The labelled images of each part, a smaller one within a larger one, the same share of each class.

    Raises:
        ConfigError: a part has less than one label of some class, or two parts are equal.
    """
    counts = class_counts(subject.train.labels, subject.classes)
    parts: list[Part] = []
    for fraction in subject.wish.label_fractions:
        few = min(counts)
        # Products such as 0.07 · 100 are off by a rounding error.
        if round(fraction * few, 9) < 1:
            raise ConfigError("fractions", _too_few(fraction, few, subject.train.classes[counts.index(few)]))
        taken = [round(fraction * count) for count in counts]
        rows = nested_subset(subject.train.labels, taken, subject.generator("finetune"))
        part = Part(fraction, subject.train.subset(rows), round(len(rows) / subject.classes))
        if parts and part.labels_per_class == parts[-1].labels_per_class:
            same = f"{parts[-1].words} and {part.words} are both {part.labels_per_class} labels per class"
            raise ConfigError("fractions", f"{same}; leave one of them out")
        parts.append(part)
    return parts


def _too_few(fraction: float, few: int, name: str) -> str:
    if few == 0:
        return f"class {name} has no labelled train image to learn from; add some, or take its folder away"
    reason = f"{100 * fraction:g} % of the {few} labelled train images of class {name} is less than one"
    return f"{reason}; give at least {-(-100 // few)}"


def _score(subject: Subject, classifier: Classifier, layer: str, part: Part, begun: float) -> None:
    """Score all images of `test` and those that were learnt from, in eval mode, and put the row."""
    top1, top5 = top_accuracy(_logits(subject, classifier, subject.test), subject.test.labels)
    train_top1, _ = top_accuracy(_logits(subject, classifier, part.images), part.images.labels)
    row = {"protocol": "finetune", "layer": layer, "labels_per_class": part.labels_per_class}
    row |= {"top1": top1, "top5": top5, "train_top1": train_top1, "images": len(subject.test)}
    subject.put([row | {"seconds": time.perf_counter() - begun}])


def _logits(subject: Subject, classifier: Classifier, split: Split) -> Tensor:
    made = extract(
        classifier,
        split.images.take,
        len(split),
        FEATURE_BATCH,
        subject.machine.device,
        subject.machine.autocast_dtype,
        subject.job.control.check,
        normalisation=subject.config.normalisation,
    )
    return made["logits"]


def _show(subject: Subject, parts: Sequence[Part], layers: Sequence[str]) -> None:
    """Print the accuracies, encoder by part of the labels."""
    dataset = subject.dataset
    kind = "synthetic images" if dataset.synthetic else "images"
    title = f"{dataset.name}: fine-tuned, accuracy on {len(subject.test):,} test {kind}, %"
    table = Table(title=escape(title))
    table.add_column("encoder")
    for part in parts:
        table.add_column(f"{part.words} ({part.labels_per_class:,} per class)", justify="right")
    figures = {(row.layer, row.labels_per_class): row.top1 for row in made_before(subject)}
    for layer in layers:
        scored = [figures[layer, part.labels_per_class] for part in parts]
        table.add_row(LAYERS[layer], *(f"{100 * top1:.1f}" for top1 in scored if top1 is not None))
    subject.job.reporter.table(table)
