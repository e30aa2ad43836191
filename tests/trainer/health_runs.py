"""Runs that were really trained, healthy ones and ones made sick, with the figures of each epoch.

health_runs.csv holds a row for each epoch; epoch 0 is the untrained network. docs/health.md says how they were made.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from trainer.facts import Facts, Method
from trainer.health import FIGURES

TABLE = Path(__file__).with_suffix(".csv")
CLASSES = 10


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One run."""

    name: str
    kind: str
    """What was done to it, "healthy" where nothing was."""
    rows: tuple[dict[str, str], ...]

    @property
    def epochs(self) -> int:
        """Epochs that were trained."""
        return len(self.rows) - 1

    def facts(self, closed: int) -> Facts:
        """What was known when so many epochs were closed."""
        settings = self.rows[0]
        method = cast(Method, settings["method"])
        others = 2 * int(settings["batch_size"]) - 1
        epochs = self.rows[1 : closed + 1]
        return Facts(
            method=method,
            negatives=self.kind != "no negatives",
            epoch=closed,
            epochs=self.epochs,
            steps=closed * int(settings["steps_per_epoch"]),
            batch_size=int(settings["batch_size"]),
            temperature=float(settings["temperature"]),
            projection_size=int(settings["projection_size"]),
            feature_size=int(settings["feature_size"]),
            classes=CLASSES,
            is_finite=True,
            losses=[float(row["loss"]) for row in epochs],
            loss_chance=math.log(CLASSES if method == "cross-entropy" else others),
            acc_top1=float(epochs[-1]["acc_top1"]) if epochs and method == "simclr" else None,
            acc_top1_chance=1 / others if method == "simclr" else None,
            val_losses=[float(row["val_loss"]) if row["val_loss"] else None for row in epochs],
            health=[_figures(row) for row in epochs],
            untrained=_figures(settings),
            health_images=int(settings["health_images"]),
        )


def _figures(row: dict[str, str]) -> dict[str, float]:
    return {name: float(row[name]) for name in FIGURES}


def measured_runs() -> dict[str, MeasuredRun]:
    """All of them by name."""
    rows: dict[str, list[dict[str, str]]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["run"], []).append(row)
    return {name: MeasuredRun(name, own[0]["kind"], tuple(own)) for name, own in rows.items()}
