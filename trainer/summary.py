"""What a manifest tells of its run's row, so that the row can be made anew when the store is lost."""

import json
from collections.abc import Callable
from typing import Any

from trainer.manifest import is_line, is_number, is_whole
from trainer.paths import is_run_id
from trainer.store.records import Run


def _is_id(value: Any) -> bool:
    return type(value) is str and is_run_id(value)


def _is_json_object(value: Any) -> bool:
    try:
        return type(value) is str and isinstance(json.loads(value), dict)
    except (ValueError, RecursionError):
        return False


SUMMARY: dict[str, Callable[[Any], bool]] = {
    "total_steps": is_whole,
    "steps_per_epoch": is_whole,
    "trained_seconds": is_number,
    "step_seconds": is_number,
    "restarts_left": is_whole,
    "fingerprint": _is_json_object,
    "exactness": is_line,
    "device": is_line,
    "health": is_line,
    "health_level": is_line,
    "health_rule": is_line,
    "parent_run_id": _is_id,
    "parent_step": is_whole,
    "source_run_id": _is_id,
}
"""Columns of a run's row that a manifest may hold beside what it has always held, and what they must be."""


def manifest_summary(run: Run) -> dict[str, Any]:
    """What a manifest holds under `summary`, so that the run's row can be made anew without the store.

    Args:
        run: its row as it is when the checkpoint is written.
    """
    known = {name: getattr(run, name) for name in (*SUMMARY, "loss", "knn_top1")}
    return {name: value for name, value in known.items() if value is not None}
