"""What a benchmark tries: the current settings, and every combination of the values that are to be varied."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.lab.meaning import VARIED, meaning, meaning_of, name_of
from trainer.lab.notes import ADDED, KEPT, ROWS, NotesRow
from trainer.lab.scale import scale_words as scale_words
from trainer.lab.scale import scaled as scaled
from trainer.lab.scale import scaled_batch
from trainer.lab.vary import Values, parse_vary, usual_values


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that are measured."""

    number: int
    """Counted from 1."""
    name: str
    """What sets it apart, such as `vram · 2 workers · pinned`; unique within a benchmark."""
    settings: dict[str, Any]
    """Those that are not the base's (of a row of the notes: all that the row names)."""
    note: NotesRow | None = None
    """The row of the notes that it repeats."""
    error: str | None = None
    """Why it can't be run, in a sentence; it is a row of the results and takes no time."""
    same: tuple[str, ...] = ()
    """Combinations that mean the same and are not tried beside it, as their settings: `cache=vram num_workers=2`."""

    def config(self, base: PretrainConfig) -> PretrainConfig:
        """The base, scaled as the benchmark is, with this trial's settings.

        Raises:
            ConfigError: they do not go together (`error` has the sentence).
        """
        return replace(base, **self.settings)


def plan(config: BenchmarkConfig, *, on_cuda: bool) -> list[Trial]:
    """The trials of a benchmark, in the order in which each round takes them.

    Trial 1 is the current settings, unless a preset is asked for: that of the notes has their 14 rows and three more.

    Args:
        config: what is asked for; its scale is applied to batch sizes.
        on_cuda: whether the trials run on a CUDA device, where page-locked memory means something.

    Raises:
        ConfigError: `vary` names a setting that can't be varied, or a value that it can't have.
    """
    if config.preset == "notes":
        return _notes(config.scale)
    base = scaled(config.base_config, config.scale)
    values = parse_vary(config.vary, config.scale) if config.vary.strip() else usual_values(base, auto=config.auto)
    return _grid(base, values, on_cuda=on_cuda)


def settled(config: BenchmarkConfig) -> BenchmarkConfig:
    """The same benchmark with what depends on this machine's cores written down.

    A benchmark that is resumed, or looked at, where other cores are at hand must still have the same trials.
    """
    if config.preset or config.vary.strip():
        return config
    values = usual_values(config.base_config, auto=config.auto)
    return replace(config, vary=" ".join(f"{name}={','.join(map(str, tried))}" for name, tried in values.items()))


def current(config: BenchmarkConfig) -> int:
    """Number of the trial that all are compared with: the first, or of the notes the row that they decide for."""
    return KEPT if config.preset == "notes" else 1


def _notes(scale: float) -> list[Trial]:
    trials = []
    for number, row in enumerate((*ROWS, *ADDED), start=1):
        settings = dict(row.settings) | {"batch_size": scaled_batch(row.settings["batch_size"], scale)}
        trials.append(Trial(number, row.name.format(**settings), settings, note=row))
    return trials


@dataclass(slots=True)
class _Candidate:
    """A combination that is to be tried, and those that mean the same."""

    settings: dict[str, Any]
    meaning: dict[str, Any]
    error: str | None
    same: list[dict[str, Any]]


def _grid(base: PretrainConfig, values: Values, *, on_cuda: bool) -> list[Trial]:
    """The current settings and every combination; of those that mean the same, the one that changes the least."""
    found: dict[tuple[Any, ...], _Candidate] = {}
    for combination in ({}, *_combinations(values)):
        settings = {name: value for name, value in combination.items() if getattr(base, name) != value}
        candidate = _candidate(base, settings, on_cuda=on_cuda)
        key = (candidate.error, *sorted(candidate.meaning.items(), key=str))
        known = found.setdefault(key, candidate)
        if known is candidate or settings in (known.settings, *known.same):
            continue
        if len(settings) < len(known.settings):
            known.settings, settings = settings, known.settings
        known.same.append(settings)
    return _named(list(found.values()), base)


def _combinations(values: Values) -> Iterable[dict[str, Any]]:
    return (dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values()))


def _candidate(base: PretrainConfig, settings: dict[str, Any], *, on_cuda: bool) -> _Candidate:
    try:
        return _Candidate(settings, meaning(replace(base, **settings), on_cuda=on_cuda), None, [])
    except ConfigError as error:
        values = {name: settings.get(name, getattr(base, name)) for name in VARIED}
        return _Candidate(settings, meaning_of(values, on_cuda=on_cuda), str(error), [])


def _named(candidates: list[_Candidate], base: PretrainConfig) -> list[Trial]:
    """Trials with names of the settings that not all of them have alike."""
    told = frozenset(name for name in VARIED if len({c.meaning[name] for c in candidates if name in c.meaning}) > 1)
    trials: list[Trial] = []
    for number, candidate in enumerate(candidates, start=1):
        name = name_of(candidate.meaning, told)
        if any(trial.name == name for trial in trials):  # told apart by what one of them has no use for
            name = f"{name} ({_as_written(candidate.settings)})"
        same = tuple(_as_written(_complete(other, candidate.settings, base)) for other in candidate.same)
        trials.append(Trial(number, name, candidate.settings, error=candidate.error, same=same))
    return trials


def _complete(settings: Mapping[str, Any], beside: Mapping[str, Any], base: PretrainConfig) -> dict[str, Any]:
    """Settings with the base's values of what only the other combination changes, so that the difference is seen."""
    return {name: settings.get(name, getattr(base, name)) for name in VARIED if name in {*settings, *beside}}


def _as_written(settings: Mapping[str, Any]) -> str:
    words = {True: "yes", False: "no"}
    return " ".join(f"{name}={words[value] if isinstance(value, bool) else value}" for name, value in settings.items())
