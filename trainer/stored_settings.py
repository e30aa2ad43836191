"""The settings of a run as they are stored, for whoever shows runs: never an error, whatever a hand made of them.

A trainer does not use this: it reads all settings or none, and ends with a sentence where they can't be used
(`trainer.config.Serialised.from_json`). Types are judged by the defaults, without reading bounds and help from the
source as `fields_of` does, which takes longer than a frame.
"""

import dataclasses
import json
import math
from functools import lru_cache
from typing import Any

from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.evaluate_config import EvaluateConfig
from trainer.store.records import TRAINED_KINDS, Run

_OTHERS: dict[str, type] = {"evaluate": EvaluateConfig, "benchmark": BenchmarkConfig}
_LARGEST = 2**31
_LONGEST = 4096


def settings_of(run: Run) -> dict[str, Any]:
    """The settings of a run by name, without those whose value is of another type; empty where none can be read."""
    return dict(_read(run.kind, run.config))


@lru_cache(maxsize=4096)
def _read(kind: str, text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    if not isinstance(values, dict):
        return {}
    cls: type = PretrainConfig if kind in TRAINED_KINDS else _OTHERS.get(kind, EvaluateConfig)
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    return {name: value for name, value in values.items() if _can_be(value, defaults.get(name))}


def _can_be(value: Any, default: Any) -> bool:
    """Whether a value is of the type of a setting's default, and of a size that can be shown."""
    if default is not None and type(value) is not type(default) and {type(value), type(default)} != {int, float}:
        return False
    if isinstance(value, int | float):
        return abs(value) <= _LARGEST and math.isfinite(value)
    return not isinstance(value, str) or (len(value) <= _LONGEST and value.isprintable())
