"""What evaluations found, as `show` prints it: a table for each way and data set, and the files that were made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simclr_tui.commands.output import columns, section
from simclr_tui.findings import Findings, Key, Study
from simclr_tui.format import UNKNOWN, count, percent, size
from trainer.evaluation.names import AUGMENTATIONS, LAYERS, PROTOCOLS, TELLS, VARIES
from trainer.store.reader import StoreReader
from trainer.store.records import Run

if TYPE_CHECKING:
    from trainer.evaluation.intervals import Interval


def say_evaluations(reader: StoreReader, run: Run) -> None:
    """Print the latest figures of each way of evaluation, and the paths of its files."""
    source = run.source_run_id or run.id
    findings = Findings.of(reader.evaluations(source))
    for dataset in ("", *findings.transfers):
        where = f" on {dataset}" if dataset else ""
        _say_layers(findings.study("layers", dataset), where)
        for way, what in (("labels", "accuracy by labels per class"), ("finetune", "fine-tuned, by labels per class")):
            _say_curves(findings.study(way, dataset), f"{what}{where}")
        _say_invariance(findings.study("invariance", dataset), where)
        _say_neighbours(findings.study("map", dataset), where)
    made = reader.artifacts(source)
    if made:
        lines = [
            [str(reader.runs_path / one.path), one.kind, f"step {count(one.step)}", size(one.bytes)] for one in made
        ]
        section("files", columns(["path", "kind", "step", "size"], lines, right=(3,)).splitlines())


def _of(study: Study) -> str:
    return f"(step {count(study.step)}, {count(study.images)} images)"


def _say_layers(study: Study | None, where: str) -> None:
    if study is None:
        return
    shown = []
    for protocol in study.protocols:
        shown.append((protocol, False))
        if any(row.train_top1 is not None for row in study.rows if row.protocol == protocol):
            shown.append((protocol, True))
    heading = ["features", *(PROTOCOLS[protocol] if not is_train else "train" for protocol, is_train in shown)]
    rows = []
    for layer in study.layers:
        found = [study.by_key.get((layer, protocol)) for protocol, _ in shown]
        accuracies = [
            None if row is None else row.train_top1 if is_train else row.top1
            for row, (_, is_train) in zip(found, shown, strict=True)
        ]
        rows.append([LAYERS[layer], *map(percent, accuracies)])
    table = columns(heading, rows, right=range(1, len(heading)))
    section(f"accuracy on test{where}, % {_of(study)}", table.splitlines())


def _say_curves(study: Study | None, what: str) -> None:
    if study is None:
        return
    curves: Mapping[Key, Mapping[int, Interval]] = study.curves
    numbers = sorted({number for points in curves.values() for number in points})
    heading = ["features", "protocol", *map(count, numbers)]
    rows = [
        [LAYERS[layer], PROTOCOLS[protocol], *(points[n].percent() if n in points else "" for n in numbers)]
        for (layer, protocol), points in curves.items()
    ]
    table = columns(heading, rows, right=range(2, len(heading))).splitlines()
    section(f"{what}, % ± 95 % interval {_of(study)}", table)


def _say_invariance(study: Study | None, where: str) -> None:
    if study is None:
        return
    for prefix, what in (
        (TELLS, "what a layer tells of an augmentation"),
        (VARIES, "part of the variance within an image's views"),
    ):
        values = study.values(prefix)
        rows = [
            [AUGMENTATIONS[name], *(_value(values.get((name, layer))) for layer in study.layers)]
            for name in study.augmentations
        ]
        heading = ["augmentation", *study.layers]
        table = columns(heading, rows, right=range(1, len(heading))).splitlines()
        section(f"{what}{where}, 0 to 1 {_of(study)}", table)


def _say_neighbours(study: Study | None, where: str) -> None:
    if study is not None and study.rows[-1].value is not None:
        share = percent(study.rows[-1].value)
        section(f"nearest neighbours{where} {_of(study)}", [f"{share} % are of the same class"])


def _value(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"
