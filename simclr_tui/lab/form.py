"""A benchmark that is being chosen: what is tried, how often, and about how long that takes. Pure."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from simclr_tui.format import duration
from trainer.benchmark_config import BenchmarkConfig, base_json
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.lab.halving import rounds_for
from trainer.lab.trials import Trial, plan, scale_words
from trainer.options import show
from trainer.settings import Field, fields_of, parse
from trainer.store.records import TRAINED_KINDS, Run

SHOWN = ("vary", "preset", "rounds", "steps", "scale", "auto", "budget_minutes")
"""The settings that the form asks for."""
_SMALL_SIDE = 48
"""Side in pixels up to which a CPU needs no smaller images."""
_CPU_SCALE, _CPU_STEPS = 0.25, 20
_LONGEST_SECONDS = 1800.0
_FEWEST_STEPS, _USUAL_STEPS = 5, 100
_EPOCHS_OF_A_ROUND = 2


@dataclass(slots=True)
class BenchForm:
    """What the window holds."""

    run: Run | None
    """The run whose settings are the current ones; None takes the defaults."""
    has_gpu: bool
    name: str = ""
    typed: dict[str, str] = field(default_factory=dict)
    """What was typed, by setting."""
    _planned: tuple[BenchmarkConfig, list[Trial]] | None = None

    @property
    def base(self) -> PretrainConfig:
        """The settings that all trials share.

        Raises:
            ConfigError: the run's stored settings can't be used.
        """
        if self.run is None or self.run.kind not in TRAINED_KINDS:
            return PretrainConfig()
        return PretrainConfig.from_json(self.run.config)

    @property
    def usual(self) -> dict[str, Any]:
        """The defaults, fit for the machine: a CPU takes smaller images and fewer steps."""
        base = self.base
        values: dict[str, Any] = {one.name: one.default for one in shown_fields()}
        if self.has_gpu:
            return values
        if base.image_size > _SMALL_SIDE:
            return values | {"scale": _CPU_SCALE, "steps": _CPU_STEPS}
        return values | {"steps": self._steps_in_time() or _CPU_STEPS}

    def _steps_in_time(self) -> int | None:
        """Steps with which the usual trials take half an hour at most, where the run knows how long a step takes."""
        seconds = self.run.step_seconds if self.run else None
        if not seconds:
            return None
        trials = len(plan(self._config({}), on_cuda=self.has_gpu))
        turns = trials * rounds_for(trials) * _EPOCHS_OF_A_ROUND
        return max(_FEWEST_STEPS, min(_USUAL_STEPS, int(_LONGEST_SECONDS / (turns * seconds))))

    def text(self, setting: Field) -> str:
        """What the form shows of a setting."""
        return self.typed.get(setting.name, show(self.usual[setting.name]))

    @property
    def values(self) -> dict[str, Any]:
        """The settings of the benchmark.

        Raises:
            ConfigError: one of them is wrong.
        """
        chosen = {one.name: parse(one, self.text(one)) for one in shown_fields()}
        return dataclasses.asdict(self._config(chosen))

    def _config(self, values: dict[str, Any]) -> BenchmarkConfig:
        base = self.base
        of = self.run.id if self.run is not None and self.run.kind in TRAINED_KINDS else ""
        own = {"base": base_json(base), "of": of, "device": base.device, "threads": base.threads}
        return BenchmarkConfig.from_values(own | values)

    @property
    def error(self) -> tuple[str, str]:
        """The setting that is wrong and why; nothing where none is."""
        try:
            self._plan(BenchmarkConfig.from_values(self.values))
        except ConfigError as error:
            return error.setting, error.reason
        return "", ""

    @property
    def told(self) -> str:
        """What it would be, in a few words; nothing while something is wrong."""
        if any(self.error):
            return ""
        config = BenchmarkConfig.from_values(self.values)
        trials = self._plan(config)
        rounds = config.rounds or rounds_for(len(trials))
        steps = f"{config.steps} steps" if config.steps else "whole epochs"
        names = ", ".join(trial.name for trial in trials[:4]) + (", …" if len(trials) > 4 else "")
        how = "at most, by halving" if config.auto else f"× {rounds} rounds"
        words = [f"{len(trials)} trials {how}, 2 × {steps} each{self._time_words(config, len(trials) * rounds)}", names]
        return "\n".join([*words, scale_words(config.base_config, config.scale)]).strip()

    def _plan(self, config: BenchmarkConfig) -> list[Trial]:
        """The trials; of what was asked last they are kept, since hundreds take longer than a key may."""
        if self._planned is None or self._planned[0] != config:
            self._planned = (config, plan(config, on_cuda=self.has_gpu))
        return self._planned[1]

    def _time_words(self, config: BenchmarkConfig, turns: int) -> str:
        seconds = self.run.step_seconds if self.run else None
        if config.budget_minutes:
            return f" · no longer than {duration(60 * config.budget_minutes)}"
        if not seconds or not config.steps or config.scale != 1:
            return ""
        return f" · about {duration(turns * _EPOCHS_OF_A_ROUND * config.steps * seconds)} and the warm-ups"


def shown_fields() -> list[Field]:
    """The settings that the form asks for, in its order."""
    known = {one.name: one for one in fields_of(BenchmarkConfig)}
    return [known[name] for name in SHOWN]
