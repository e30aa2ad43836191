"""What the evaluations of a run found, sorted by way, data set and checkpoint. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from trainer.evaluation.names import AUGMENTATIONS, LAYERS, NEIGHBOURS, PROTOCOLS, TELLS, VARIES
from trainer.store.records import Evaluation

if TYPE_CHECKING:
    from trainer.evaluation.intervals import Interval

Key = tuple[str, str]
"""Layer and protocol."""


def way_of(row: Evaluation) -> str:
    """Which way of evaluation makes such a row: one of trainer.evaluate_config.WAYS, or nothing that is known."""
    if row.protocol.startswith((TELLS, VARIES)):
        return "invariance"
    if row.protocol == "finetune":
        return "finetune"
    if row.protocol == NEIGHBOURS:
        return "map"
    if row.protocol not in PROTOCOLS or row.top1 is None:
        return ""
    return "labels" if row.labels_per_class else "layers"


@dataclass(frozen=True)
class Study:
    """The figures that one job made: of one way of evaluation on one data set, at one step of the run."""

    way: str
    dataset: str
    """Empty for the run's own."""
    step: int
    rows: Sequence[Evaluation]

    @property
    def images(self) -> int:
        """Images that were scored."""
        return self.rows[-1].images

    @property
    def last_at(self) -> float:
        """When the last figure was made."""
        return max(row.at for row in self.rows)

    @cached_property
    def by_key(self) -> Mapping[Key, Evaluation]:
        """The figure of each layer and protocol, the last one where there are several."""
        return {(row.layer, row.protocol): row for row in self.rows}

    @cached_property
    def layers(self) -> list[str]:
        """The layers that have a figure, in the order of a table."""
        used = {row.layer for row in self.rows}
        return [layer for layer in LAYERS if layer in used]

    @cached_property
    def protocols(self) -> list[str]:
        """The protocols of accuracies that have a figure, in the order of a table."""
        used = {row.protocol for row in self.rows}
        return [protocol for protocol in PROTOCOLS if protocol in used]

    def best(self, protocol: str) -> float | None:
        """The highest accuracy of a protocol."""
        return max((row.top1 for row in self.rows if row.protocol == protocol and row.top1 is not None), default=None)

    def top1(self, layer: str, protocol: str) -> float | None:
        """One accuracy, from 0 to 1."""
        row = self.by_key.get((layer, protocol))
        return row.top1 if row is not None else None

    @cached_property
    def curves(self) -> Mapping[Key, Mapping[int, "Interval"]]:
        """Accuracy over the number of labels, by layer and protocol in the order of a table. Imports SciPy."""
        from trainer.evaluation.intervals import interval

        found: dict[Key, dict[int, list[float]]] = {}
        for row in self.rows:
            if row.top1 is not None:
                counts = found.setdefault((row.layer, row.protocol), {})
                counts.setdefault(row.labels_per_class, []).append(row.top1)
        keys = [(layer, protocol) for protocol in PROTOCOLS for layer in reversed(LAYERS)]
        return {
            key: {count: interval(found[key][count]) for count in sorted(found[key])} for key in keys if key in found
        }

    def values(self, prefix: str) -> dict[Key, float | None]:
        """What was measured under each augmentation, by augmentation and layer; None where a layer is constant."""
        return {
            (row.protocol.removeprefix(prefix), row.layer): row.value
            for row in self.rows
            if row.protocol.startswith(prefix)
        }

    @cached_property
    def augmentations(self) -> list[str]:
        """The augmentations that were measured, in the order of a table."""
        used = {row.protocol.partition("-")[2] for row in self.rows}
        return [name for name in AUGMENTATIONS if name in used]


@dataclass(frozen=True)
class Findings:
    """The studies of a run: of each way, data set and step the one of the newest job."""

    studies: Sequence[Study] = ()
    """In the order in which they were made."""

    @classmethod
    def of(cls, evaluations: Iterable[Evaluation]) -> "Findings":
        """Sort the rows of a run.

        Jobs may differ in their settings, and a later one overwrites only the figures of equal keys, so what it left
        of an earlier one is neither a further draw nor of the same table.
        """
        groups: dict[tuple[str, str, int], list[Evaluation]] = {}
        for row in sorted(evaluations, key=lambda row: row.at):
            way = way_of(row)
            if way:
                groups.setdefault((way, row.dataset, row.step), []).append(row)
        studies = [
            Study(way, dataset, step, [row for row in rows if row.job_id == rows[-1].job_id])
            for (way, dataset, step), rows in groups.items()
        ]
        return cls(sorted(studies, key=lambda study: study.last_at))

    def study(self, way: str, dataset: str = "", step: int | None = None) -> Study | None:
        """The study of a way and a data set at a step, or the one that was made last."""
        fitting = [study for study in self.studies if (study.way, study.dataset) == (way, dataset)]
        return next((study for study in reversed(fitting) if step in (None, study.step)), None)

    @cached_property
    def steps(self) -> list[int]:
        """The steps that were looked at."""
        return sorted({study.step for study in self.studies})

    @cached_property
    def transfers(self) -> list[str]:
        """The other data sets that were scored."""
        return sorted({study.dataset for study in self.studies} - {""})
