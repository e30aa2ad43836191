"""The settings of a run that differ from the recipe it was made from. Pure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import TrainerError
from trainer.evaluate_config import EvaluateConfig
from trainer.presets import load_preset
from trainer.settings import fields_of
from trainer.store.records import Run
from trainer.stored_settings import settings_of

_CONFIGS: dict[str, type] = {"evaluate": EvaluateConfig, "benchmark": BenchmarkConfig}


@dataclass(frozen=True, slots=True)
class Changed:
    """A setting with its value and the one that the recipe has."""

    name: str
    value: Any
    usual: Any


def recipe_name(run: Run) -> str:
    """What a run's settings are compared with: a preset, or the defaults."""
    return f"preset {run.preset}" if run.preset else "the defaults"


def changed_settings(run: Run) -> list[Changed]:
    """The settings that differ from the run's preset or, where it has none, from the defaults.

    `threads` counts only where the recipe names a number, and `data_dir` only where it is another folder than the
    recipe's one below wherever the run was made: both are settled when a run is made.
    """
    cls = _CONFIGS.get(run.kind, PretrainConfig)
    usual: Any = cls()
    if run.preset and cls is PretrainConfig:
        try:
            usual = load_preset(run.preset).config()
        except TrainerError:  # a preset of an older version; the defaults still say something
            usual = cls()
    values = settings_of(run)
    return [
        Changed(field.name, values[field.name], getattr(usual, field.name))
        for field in fields_of(cls)
        if field.name in values
        and values[field.name] != getattr(usual, field.name)
        and not (field.name == "threads" and usual.threads == 0)
        and not (field.name == "data_dir" and Path(values["data_dir"]).match(usual.data_dir))
    ]
