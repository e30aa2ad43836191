"""What the accuracy over the number of labels looks like: one table, one chart and one file of all figures."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from trainer.config import PretrainConfig
from trainer.data import HOLD_OUT_SEED
from trainer.data.stratify import stratified_split
from trainer.durable import write_durably
from trainer.errors import ConfigError
from trainer.evaluation.intervals import Interval, interval
from trainer.evaluation.names import LAYERS, PROTOCOLS, SAME_DATA
from trainer.evaluation.subject import Subject
from trainer.figure import Curve, Level, Point, label_curve
from trainer.store.records import Evaluation
from trainer.stored_settings import settings_of

COLUMNS = ("protocol", "layer", "labels_per_class", "seed", "top1", "top5", "train_top1", "c", "images", "seconds")
"""Of the file, named as in the store."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A supervised run's own accuracy on the same test images."""

    words: str
    labels_per_class: int
    """Labels that it was trained with."""
    top1: float


Accuracies = dict[int, Interval]
"""Labels per class → accuracy."""


def show(subject: Subject, rows: Sequence[Evaluation]) -> None:
    """Print the table, and keep the chart (SVG and PNG) and the figures (CSV) as files."""
    curves, baselines = curves_of(rows), supervised_baselines(subject)
    subject.job.reporter.table(table(subject, curves, baselines))
    for suffix in (".svg", ".png"):
        path = subject.folder() / f"labels{suffix}"
        draw(subject, curves, baselines, path)
        subject.announce(path, "picture")
    path = subject.folder() / "labels.csv"
    write_durably(path, as_csv(rows).encode())
    subject.announce(path, "table")


def draw(
    subject: Subject, curves: dict[tuple[str, str], Accuracies], baselines: Sequence[Baseline], path: Path
) -> None:
    """The chart: a line for each layer and protocol, a dashed one for each supervised run."""
    lines = []
    for (layer, protocol), accuracies in sorted(curves.items(), key=lambda item: item[0][0] != "h"):
        points = tuple(
            Point(labels_per_class=count, accuracy=one.mean, interval=one.ends) for count, one in accuracies.items()
        )
        lines.append(Curve(name=f"{LAYERS[layer]}: {PROTOCOLS[protocol]}", points=points))
    levels = [
        Level(name=f"{one.words}, {one.labels_per_class:,} labels per class", value=one.top1) for one in baselines
    ]
    title = f"{subject.dataset.name}: accuracy over the number of labels, mean and 95 % interval"
    label_curve(lines, title=title, path=path, baselines=levels)


def curves_of(rows: Sequence[Evaluation]) -> dict[tuple[str, str], Accuracies]:
    """(layer, protocol) → accuracy over the number of labels, in the order of a table."""
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in rows:
        assert row.top1 is not None
        found.setdefault((row.layer, row.protocol), {}).setdefault(row.labels_per_class, []).append(row.top1)
    return {
        (layer, protocol): {count: interval(found[layer, protocol][count]) for count in sorted(found[layer, protocol])}
        for layer in LAYERS
        for protocol in PROTOCOLS
        if (layer, protocol) in found
    }


def supervised_baselines(subject: Subject) -> list[Baseline]:
    """The store's supervised runs on the same images, with what their own classifier scores at their last step."""
    store, config = subject.job.store, subject.config
    baselines = []
    for run in store.runs():
        settings = settings_of(run) if run.kind == "supervised" else {}
        if not settings or any(settings.get(name) != getattr(config, name) for name in SAME_DATA):
            continue
        scored = [row for row in store.evaluations(run.id) if row.protocol == "classifier" and not row.dataset]
        if scored:
            last = max(scored, key=lambda row: row.step)
            assert last.top1 is not None
            try:
                own = PretrainConfig.from_json(run.config)
            except ConfigError:  # edited by hand; it must not keep this run from its figures
                continue
            words = f"supervised {own.backbone} (run {run.name})"
            baselines.append(Baseline(words, _labels_of(own, subject), last.top1))
    return baselines


def _labels_of(config: PretrainConfig, subject: Subject) -> int:
    """Mean number of labels per class that a supervised run learnt from: those not held out."""
    labels_N = subject.train.first(config.limit_images).labels
    if config.hold_out:
        labels_N = stratified_split(labels_N, config.hold_out, HOLD_OUT_SEED)[0]
    return round(len(labels_N) / subject.classes)


def table(subject: Subject, curves: dict[tuple[str, str], Accuracies], baselines: Sequence[Baseline]) -> Table:
    """Mean and interval in %, layer and protocol by labels per class."""
    dataset = subject.dataset
    kind = "synthetic images" if dataset.synthetic else "images"
    counts = {count for curve in curves.values() for count in curve} | {one.labels_per_class for one in baselines}
    made = Table(
        title=escape(f"{dataset.name}: accuracy on {len(subject.test):,} test {kind} by labels per class, %"),
        caption="mean ± 95 % interval of the mean over draws of the labels",
    )
    made.add_column("features")
    made.add_column("protocol")
    for count in sorted(counts):
        made.add_column(f"{count:,}", justify="right")
    for (layer, protocol), curve in curves.items():
        cells = (curve[count].percent() if count in curve else "" for count in sorted(counts))
        made.add_row(LAYERS[layer], PROTOCOLS[protocol], *cells)
    for baseline in baselines:
        cells = (f"{100 * baseline.top1:.1f}" if count == baseline.labels_per_class else "" for count in sorted(counts))
        made.add_row(escape(baseline.words), PROTOCOLS["classifier"], *cells)
    return made


def as_csv(rows: Sequence[Evaluation]) -> str:
    """Every figure as comma-separated values with a heading; numbers in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, name) for name in COLUMNS] for row in rows)
    return text.getvalue()
