"""The evaluations of compared runs: accuracy by layer and protocol, and by labels per class. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from simclr_tui.compare.measures import TOP1
from simclr_tui.compare.rows import Figure, line_of
from simclr_tui.compare.side import Side, differing
from simclr_tui.compare.table import Group, Line
from simclr_tui.findings import Study
from simclr_tui.format import count
from trainer.evaluation.names import LAYERS, PROTOCOLS

_TABLES = {("layers",): "", ("labels", "finetune"): ", by labels per class"}
"""Ways of evaluation whose figures are accuracies, with what else the title of their table says."""

_WAYS = tuple(way for ways in _TABLES for way in ways)

_SCORED = ("dataset", "limit_per_class", "limit_test_per_class")
"""Settings that must agree for two runs to have been scored on the same images of their own data set."""

_ALONE = "only one run was scored; evaluate the others to compare them"

Key = tuple[str, str, int]
"""Layer, protocol, labels per class (0 is all)."""


def evaluation_groups(sides: Sequence[Side]) -> list[Group]:
    """A table for each data set that any of the runs was scored on, and where they were not scored at one and the same
    epoch last, a second one of the last epoch at which all were."""
    datasets = sorted({study.dataset for side in sides for study in side.findings.studies if study.way in _WAYS})
    found: list[Group] = []
    for dataset in datasets:
        where = f" on {dataset}" if dataset else ""
        for ways, by in _TABLES.items():
            latest: list[Line] = []
            common: list[Line] = []
            for way in ways:
                studies = [_by_epoch(side, way, dataset) for side in sides]
                latest += _lines(sides, [one[max(one)] if one else None for one in studies], dataset)
                at = _common(studies)
                common += _lines(sides, [one.get(at) for one in studies], dataset, f" at epoch {at:g}") if at else []
            title = f"test accuracy{where}, %{by}"
            found += [_group(title, latest)] if latest else []
            found += [_group(f"{title}, at epochs that all were scored at", common)] if common else []
    return found


def _group(title: str, lines: Sequence[Line]) -> Group:
    """The rows that two runs or more have; where all were scored at one epoch it is said once."""
    epochs = {cell.epoch for line in lines for cell in line.cells if cell.epoch is not None}
    remarks = []
    if len(epochs) == 1:
        remarks.append(f"scored after epoch {epochs.pop()}")
        lines = [replace(line, cells=[replace(cell, epoch=None) for cell in line.cells]) for line in lines]
    lines = [replace(line, unit_is_above=True) for line in lines]
    shared = [line for line in lines if sum(cell.value is not None for cell in line.cells) > 1]
    alone = [line for line in lines if line not in shared]
    if alone:
        remarks.append(f"{len(alone)} more figures are known of one run only" if shared else _ALONE)
    return Group(title, shared, "; ".join(remarks), alone)


def _by_epoch(side: Side, way: str, dataset: str) -> Mapping[float, Study]:
    """What one way found, by the epoch of the checkpoint; of two jobs on one step the newer."""
    return {
        side.epoch_of(study.step): study
        for study in side.findings.studies
        if (study.way, study.dataset) == (way, dataset)
    }


def _common(studies: Sequence[Mapping[float, Study]]) -> float | None:
    """The last epoch at which all that were scored were; None where that is the last one of each anyway."""
    scored = [one for one in studies if one]
    if len(scored) < 2 or len({max(one) for one in scored}) == 1:
        return None
    shared = set.intersection(*(set(one) for one in scored))
    return max(shared, default=None)


def _lines(sides: Sequence[Side], studies: Sequence[Study | None], dataset: str, suffix: str = "") -> list[Line]:
    """A row for each layer, protocol and number of labels that any run has."""
    means = [_means(study) for study in studies]
    note, is_comparable = _judged(sides, studies, dataset)
    return [
        line_of(
            replace(TOP1, name=_name(key) + suffix),
            [
                Figure(one.get(key), None if study is None or suffix else round(side.epoch_of(study.step)))
                for side, study, one in zip(sides, studies, means, strict=True)
            ],
            note=note,
            is_comparable=is_comparable,
        )
        for key in _keys(means)
    ]


def _means(study: Study | None) -> dict[Key, float]:
    """Accuracy in %, the mean over the draws of the labels."""
    found: dict[Key, list[float]] = {}
    for row in study.rows if study is not None else ():
        if row.top1 is not None:
            found.setdefault((row.layer, row.protocol, row.labels_per_class), []).append(100 * row.top1)
    return {key: fmean(values) for key, values in found.items()}


def _keys(means: Sequence[Mapping[Key, float]]) -> list[Key]:
    """Every row's key once: the encoder's output first, protocol by protocol, the fewest labels first."""
    layers, protocols = list(reversed(LAYERS)), list(PROTOCOLS)
    known = {key for one in means for key in one if key[0] in LAYERS and key[1] in PROTOCOLS}
    return sorted(known, key=lambda key: (layers.index(key[0]), protocols.index(key[1]), key[2]))


def _name(key: Key) -> str:
    layer, protocol, number = key
    labels = f", {count(number)}" if number else ""
    return f"{layer}, {PROTOCOLS[protocol]}{labels}"


def _judged(sides: Sequence[Side], studies: Sequence[Study | None], dataset: str) -> tuple[str, bool]:
    """What has to be known about these accuracies, and whether they can be set against each other."""
    scored = [(side, study) for side, study in zip(sides, studies, strict=True) if study is not None]
    names = [] if dataset else differing([side for side, _ in scored], _SCORED)
    names = names or (["another number of them"] if len({study.images for _, study in scored}) > 1 else [])
    if names:
        return f"not comparable: scored on other images ({', '.join(names)})", False
    epochs = {round(side.epoch_of(study.step)) for side, study in scored}
    return ("scored after different numbers of epochs" if len(epochs) > 1 else "", True)
