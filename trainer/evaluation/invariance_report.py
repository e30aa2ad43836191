"""The figures of invariance as tables, as one sentence and as a picture."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rich.table import Table

from trainer.augment import AugmentRecipe
from trainer.evaluation.invariance_draws import has_strength, is_trained_with
from trainer.evaluation.layers import layer_names
from trainer.evaluation.names import AUGMENTATIONS, CLEAR_DIFFERENCE, LAYERS, TELLS, VARIES
from trainer.evaluation.subject import Subject

Figures = dict[tuple[str, str], float | None]
"""A figure by augmentation and layer; None where a layer does not vary at all."""


def show(subject: Subject, rows: Sequence[dict[str, Any]], split: str) -> None:
    """Print both tables and the sentence, and write the picture as SVG and PNG.

    Args:
        subject: whose reporter and folder are used.
        rows: of `evaluations`, both figures of every layer and augmentation.
        split: name of the images' split.
    """
    layers, recipe = layer_names(subject), AugmentRecipe.from_config(subject.config)
    told, varied = figures(rows, TELLS), figures(rows, VARIES)
    trained = [name for name in AUGMENTATIONS if is_trained_with(name, recipe)]
    images = f"{'synthetic ' if subject.dataset.synthetic else ''}images of {subject.dataset.name}, {split}"
    heading = f"{images}: how well each layer tells what the augmentation did (0 not at all, 1 exactly)"
    subject.job.reporter.table(_table(heading, told, layers, trained))
    heading = f"{images}: part of the variance that lies within an image's views (0 invariant)"
    subject.job.reporter.table(_table(heading, varied, layers, trained))
    foreign = [name for name in AUGMENTATIONS if not has_strength(name, recipe)]
    if foreign:
        subject.job.reporter.note(f"the run leaves {', '.join(foreign)} as it is, so SimCLR's own strength was taken")
    sentence = in_words(told, varied, layers, trained)
    if sentence:
        subject.job.reporter.note(sentence)
    _draw(subject, told, layers)


def figures(rows: Sequence[dict[str, Any]], prefix: str) -> Figures:
    """The values of the rows whose protocol begins so."""
    return {
        (row["protocol"].removeprefix(prefix), row["layer"]): row["value"]
        for row in rows
        if row["protocol"].startswith(prefix)
    }


def in_words(told: Figures, varied: Figures, layers: Sequence[str], trained: Sequence[str]) -> str:
    """What the head threw away, in a sentence; empty where there is no head's end to compare with h.

    Args:
        told: what each layer tells.
        varied: how much of it varies within an image.
        layers: those that were measured.
        trained: augmentations that count, those that the run was trained with; without any, all but rotation do.
    """
    last = next((layer for layer in ("z", "logits") if layer in layers), None)
    if last is None or "h" not in layers:
        return ""
    names = list(trained) or [name for name in AUGMENTATIONS if name != "rotation"]
    pairs = [(told[name, "h"] or 0.0, told[name, last] or 0.0) for name in names]
    fewer = sum(before - after > CLEAR_DIFFERENCE for before, after in pairs)
    before, after = (fmean(column) for column in zip(*pairs, strict=True))
    known = [(varied[name, "h"], varied[name, last]) for name in names]
    parts = [(of_h, of_last) for of_h, of_last in known if of_h is not None and of_last is not None]
    kind = "augmentations that the run was trained with" if trained else "augmentations"
    sentence = f"{last} tells clearly less than h about {fewer} of {len(names)} {kind}"
    sentence += f" (mean {before:.2f} → {after:.2f})"
    if parts:
        before, after = (fmean(column) for column in zip(*parts, strict=True))
        sentence += f"; of its variance {100 * after:.0f} % lies within an image's views, of h's {100 * before:.0f} %"
    return sentence


def _table(title: str, values: Figures, layers: Sequence[str], trained: Sequence[str]) -> Table:
    """Augmentations by layers."""
    others = [name for name in AUGMENTATIONS if name not in trained]
    table = Table(title=title, caption="* not in the run's augmentation" if others else None)
    table.add_column("augmentation")
    for layer in layers:
        table.add_column(LAYERS[layer], justify="right")
    for name, words in AUGMENTATIONS.items():
        cells = (values.get((name, layer)) for layer in layers)
        mark = " *" if name in others else ""
        table.add_row(words + mark, *("–" if cell is None else f"{cell:.2f}" for cell in cells))
    return table


def _draw(subject: Subject, told: Figures, layers: Sequence[str]) -> None:
    """A group of bars for each augmentation, one bar a layer."""
    from trainer.figure import BarSeries, layer_bars

    name = subject.job.store.run(subject.source_id).name
    series = [
        BarSeries(name=LAYERS[layer], values=tuple(told.get((one, layer)) for one in AUGMENTATIONS)) for layer in layers
    ]
    for suffix in (".svg", ".png"):
        path = subject.folder() / f"invariance{suffix}"
        layer_bars(
            tuple(AUGMENTATIONS.values()),
            series,
            axis="told by a linear function (0 nothing, 1 all)",
            percent=False,
            title=f"{name}, step {subject.step}: what each layer tells about an augmentation",
            path=path,
        )
        subject.announce(path, "picture")
