"""What a benchmark of settings may be told: the base settings, what is varied, and how long it may take."""

import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from trainer.config import PretrainConfig, check_device
from trainer.errors import ConfigError
from trainer.serialised import Serialised
from trainer.settings import Setting, check_all

FEWEST_ROUNDS = 10
"""Rounds from which on a verdict is given: fewer can't bound a ratio for many trials at once."""


def base_json(base: PretrainConfig) -> str:
    """Settings that all trials share as `BenchmarkConfig.base` keeps them: those that are not the defaults."""
    usual = PretrainConfig()
    values: dict[str, Any] = asdict(base)
    return json.dumps({name: value for name, value in values.items() if value != getattr(usual, name)})


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig(Serialised):
    """Trials (settings) × rounds, taken in turns on one device."""

    base: Annotated[str, Setting(group="Benchmark")] = "{}"
    """The settings that all trials share, as a JSON object of those that are not the defaults; they are the current
    ones, which every trial is compared with."""
    of: Annotated[str, Setting(group="Benchmark")] = ""
    """Id of the run whose settings these are, where they are a run's."""
    preset: Annotated[Literal["", "notes"], Setting(group="Benchmark")] = ""
    """A fixed set of trials: notes, every way of the project's notes with the control, the split in device memory and
    ours; empty takes what --vary says."""
    vary: Annotated[str, Setting(group="Benchmark", common=True)] = ""
    """Settings and the values to try, such as num_workers=0,2,4 pin_memory=yes,no; every combination is a trial."""
    auto: Annotated[bool, Setting(group="Benchmark", common=True)] = False
    """Search by successive halving instead of trying every combination as often as every other."""
    budget_minutes: Annotated[float, Setting(group="Benchmark", low=0, high=10_000, unit="minutes", common=True)] = 0.0
    """Begin no round that would end later than this; 0 sets no limit, which --auto needs."""
    rounds: Annotated[int, Setting(group="Benchmark", low=0, high=1000, unit="rounds", common=True)] = 0
    """Times that each trial is taken, one after the other; 0 takes as many as a verdict needs: 10, and a few more where
    there are many trials."""
    steps: Annotated[int, Setting(group="Benchmark", low=0, high=1_000_000, unit="steps", common=True)] = 100
    """Steps of each of a round's two epochs; 0 takes whole epochs."""
    scale: Annotated[float, Setting(group="Benchmark", low=0.01, high=1, unit="times", common=True)] = 1.0
    """Shrinks image side, model width and number of images for a small machine; every table says so."""
    device: Annotated[str, Setting(group="Machine", common=True)] = "auto"
    """auto takes the first CUDA device, else the CPU; next the free GPU with the most memory; or cpu, cuda, cuda:N."""
    threads: Annotated[int, Setting(group="Machine", low=0, high=1024, unit="threads")] = 0
    """CPU threads of the process; 0 takes the cores at hand."""

    def __post_init__(self) -> None:
        """Check each field, then what must agree between fields.

        Raises:
            ConfigError: naming the setting, the reason and the remedy.
        """
        check_all(self)
        check_device(self.device)
        if self.auto and not self.budget_minutes:
            raise ConfigError("auto", "searches within a time that you give; add --budget-minutes")
        if self.preset and self.vary:
            raise ConfigError("vary", f"{self.preset} is a fixed set of trials; leave one of them out")
        if self.preset and self.auto:
            raise ConfigError("auto", f"{self.preset} is a fixed set of trials; leave one of them out")
        self.base_config  # noqa: B018 - raises where the settings are wrong

    @property
    def base_config(self) -> PretrainConfig:
        """The settings that all trials share.

        Raises:
            ConfigError: they are no settings.
        """
        try:
            values = json.loads(self.base)
        except ValueError as error:
            raise ConfigError("base", "is no JSON; give the settings as options") from error
        if not isinstance(values, dict):
            raise ConfigError("base", "is no JSON object; give the settings as options")
        return PretrainConfig.from_values(values)
