"""The trials that can be judged, and what sets any two of them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.lab.meaning import VARIED, differences, meaning, word
from trainer.lab.results import Result, judged
from trainer.lab.statistics import Interval, comparisons, ratio_interval

COUNTS = 0.02
"""Differences of time that lie below this as a whole are none that anyone would act on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Trials with rounds enough, the fastest first."""

    results: tuple[Result, ...]
    meanings: Mapping[int, Mapping[str, Any]]
    """What each trial's settings mean, by number."""
    configs: Mapping[int, PretrainConfig]
    base: Mapping[str, Any]
    """What the settings mean that all trials share."""
    current: Result | None
    """The trial that all are compared with; None where it can't be."""
    pairs: int
    """Comparisons that are to hold at once."""
    fastest: Result
    """The quickest of those that are faster than the current one without doubt; if none is, the quickest."""

    @property
    def is_of_base(self) -> bool:
        """Whether the trial that all are compared with is the settings that they share, as no preset's is."""
        return self.current is not None and self.meanings[self.current.number] == self.base

    @property
    def today(self) -> str:
        """What the trial that all are compared with is called."""
        return "the current settings" if self.is_of_base else "the reference"

    def changes(self, result: Result) -> dict[str, Any]:
        """The settings of a trial that do something and that the shared ones do otherwise."""
        own = self.meanings[result.number]
        config = self.configs[result.number]
        return {name: getattr(config, name) for name in VARIED if name in own and own[name] != self.base.get(name)}

    def ratio(self, result: Result, reference: Result) -> Interval | None:
        """Interval of a trial's time per image over another's."""
        return ratio_interval(result.costs, reference.costs, self.pairs)

    def is_faster(self, result: Result, reference: Result) -> bool:
        """Whether its interval lies below 1."""
        interval = self.ratio(result, reference)
        return interval is not None and interval.high < 1

    def is_gain(self, result: Result, reference: Result) -> bool:
        """Whether it is faster by so much that anyone would act on it."""
        interval = self.ratio(result, reference)
        return interval is not None and interval.high < 1 - COUNTS

    def apart(self, first: Result, second: Result) -> frozenset[str]:
        """The settings in which two trials differ, of those that mean something in both."""
        return differences(self.meanings[first.number], self.meanings[second.number])

    def line(self, name: str) -> dict[Any, Result]:
        """The trials that differ in one setting alone, by its value: of several such lines, that of the fastest trial.

        Empty where no two do. Where a value stands for several trials (a cache beside any number of workers), it is the
        fastest of them.
        """
        for anchor in self.results:
            own = self.meanings[anchor.number]
            if name not in own or (name == "num_workers" and not own[name]):
                continue  # no workers go with either value of what workers have
            found = {own[name]: anchor}
            for other in self.results:
                if self.apart(anchor, other) == {name}:
                    found.setdefault(self.meanings[other.number][name], other)
            if len(found) > 1:
                return found
        return {}

    def beside(self, result: Result, name: str) -> str:
        """What else sets a trial apart from those that have a setting too: `kornia · no cache`; empty for nothing."""
        values = self.meanings[result.number]
        those = [other for other in self.meanings.values() if name in other]
        told = {key for key in VARIED if len({other[key] for other in those if key in other}) > 1} - {name}
        return " · ".join(word(key, values[key]) for key in VARIED if key in told and key in values)


def measured(
    results: Sequence[Result], base: PretrainConfig, fewest: int, *, current: int, on_cuda: bool
) -> Measured | None:
    """The trials that have so many rounds; None where none has.

    Args:
        results: of all trials.
        base: the settings that they share.
        fewest: rounds that count of each.
        current: number of the trial that all are compared with.
        on_cuda: whether they ran on a CUDA device.
    """
    able = judged(results)
    configs = {result.number: config for result in able if (config := config_of(result, base)) is not None}
    enough = [result for result in able if len(result.costs) >= fewest and result.number in configs]
    if not enough:
        return None
    pairs = comparisons(len(able))
    reference = next((result for result in enough if result.number == current), None)
    order = {result.number: _slowness(result, reference, pairs) for result in enough}
    enough.sort(key=lambda result: (order[result.number], result.number))
    without_doubt = [result for result in enough if reference and _is_below(result, reference, pairs)]
    return Measured(
        results=tuple(enough),
        meanings={result.number: meaning(configs[result.number], on_cuda=on_cuda) for result in enough},
        configs=configs,
        base=meaning(base, on_cuda=on_cuda),
        current=reference,
        pairs=pairs,
        fastest=(without_doubt or enough)[0],
    )


def config_of(result: Result, base: PretrainConfig) -> PretrainConfig | None:
    """The settings of a trial; None where they are none, which a hand in the store may cause."""
    try:
        return replace(base, **result.settings)
    except (ConfigError, TypeError):
        return None


def _slowness(result: Result, reference: Result | None, pairs: int) -> float:
    """What trials are ordered by: the median ratio to the current one, or the seconds where that is not there."""
    if reference is None:
        assert result.cost is not None
        return result.cost
    if result is reference:
        return 1.0
    interval = ratio_interval(result.costs, reference.costs, pairs)
    return float("inf") if interval is None else interval.median


def _is_below(result: Result, reference: Result, pairs: int) -> bool:
    interval = ratio_interval(result.costs, reference.costs, pairs)
    return interval is not None and interval.high < 1
