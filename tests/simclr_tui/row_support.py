"""Rows of the list that were never in a store."""

import dataclasses
from typing import Any

from simclr_tui.model import RunRow
from trainer.config import PretrainConfig
from trainer.store.figures import Figures
from trainer.store.records import Labels, Run

NOW = 1_800_000_000.0
_LABELS = {field.name for field in dataclasses.fields(Labels)}
_FIGURES = {"smoothed": "loss", "best_knn": "best_knn", "linear": "linear", "epoch_seconds": "epoch_seconds"}
_SETTINGS = {field.name for field in dataclasses.fields(PretrainConfig)}


def row_of(name: str, *, state: str = "finished", place: int = 0, **values: Any) -> RunRow:
    """A run of that name and id; other values are its columns, labels, figures or settings, whatever has them."""
    labels = Labels(**{key: values.pop(key) for key in list(values) if key in _LABELS})
    figures = Figures(**{_FIGURES[key]: values.pop(key) for key in list(values) if key in _FIGURES})
    settings = {key: values.pop(key) for key in list(values) if key in _SETTINGS and key != "device"}
    run: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Run))
    run |= {
        "id": name,
        "name": name,
        "kind": "pretrain",
        "preset": "stl10",
        "config": PretrainConfig(**settings).to_json(),
        "created_at": NOW - 60,
        "lifecycle": state,
        "lifecycle_at": NOW - 30,
    }
    return RunRow(Run(**(run | values)), state, place, labels=labels, figures=figures)
