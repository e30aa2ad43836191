"""Benchmarks of seconds, made and looked at as tests need them."""

import json
from typing import Any

from trainer.benchmark_config import BenchmarkConfig
from trainer.start import new_benchmark_run
from trainer.store import RunStore
from trainer.store.records import TrialRow

TINY: dict[str, Any] = {
    "dataset": "shapes",
    "limit_per_class": 8,
    "limit_test_per_class": 1,
    "image_size": 16,
    "backbone": "resnet-narrow",
    "head_width": 8,
    "projection_size": 4,
    "batch_size": 16,
    "num_workers": 0,
}
"""80 images in five steps of an epoch."""


def new_benchmark(store: RunStore, base: dict[str, Any] | None = None, **asked: Any) -> str:
    """The id of a benchmark that has not started."""
    settings: dict[str, Any] = {"steps": 2, "rounds": 2, "threads": 1, "device": "cpu"} | asked
    return new_benchmark_run(store, BenchmarkConfig(base=json.dumps(TINY | (base or {})), **settings))


def turns(rows: list[TrialRow]) -> list[tuple[int, int]]:
    """(trial, round) in the order in which they were taken."""
    return [(row.trial, row.round) for row in sorted(rows, key=lambda row: row.at or 0.0)]


def said(store: RunStore, run_id: str, kind: str) -> list[str]:
    """What events of a kind say."""
    return [event.message for event in store.events(run_id=run_id) if event.kind == kind]
