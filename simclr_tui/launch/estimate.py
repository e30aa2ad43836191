"""What a run will take, from runs that were measured on the same device: nothing is known that was not measured. Pure.

Comparable are runs on a device of the same name, with the same data and the same work for each image (`_DATA`,
`_WORK`). Of these the nearest count: those with the same batch size before others, then those that differ in the fewest
settings of `_BESIDE`, which make an epoch faster or slower. The seconds of an epoch are the median of all epochs of the
nearest, with the shortest and the longest of them; the first epoch of a run is left out where it has others, since it
starts workers and compiles. Times the epochs that are asked for, that is the run. Memory is told of runs with the same
batch size alone.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from simclr_tui.format import duration, energy, moment, number, size
from simclr_tui.price import Price
from trainer.changes import absolute_dataset
from trainer.config import PretrainConfig
from trainer.devices import CPU, NEXT, Gpu
from trainer.options import show

ON_CPU = "CPU"
"""What the name of a device begins with that is one."""

_DATA = ("dataset", "split", "limit_images", "limit_per_class", "hold_out", "drop_last")
_WORK = (
    "method",
    "views",
    "image_size",
    "augment",
    "backbone",
    "stem",
    "width_multiplier",
    "head_layers",
    "head_width",
    "projection_size",
    "precision",
    "compile",
)
_BESIDE = (
    "cache",
    "num_workers",
    "pin_memory",
    "persistent_workers",
    "prefetch_factor",
    "threads",
    "channels_last",
    "deterministic",
    "optimizer",
    "knn_every",
    "validate_every",
    "health_every",
)
_NAMED = 2
"""So many settings that differ are named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What is known of a run that has trained."""

    name: str
    device: str
    """As torch calls it."""
    settings: Mapping[str, Any]
    epochs: Sequence[float]
    """Seconds of its newest epochs, the oldest first, without its very first one where there are others."""
    card_joules: float | None = None
    """Of an epoch, the mean of its newest."""
    cpu_joules: float | None = None
    memory_bytes: int | None = None
    """The most that its process had on a CPU, or that was in use on its GPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineNow:
    """The devices that there are, with the memory that is free now."""

    gpus: Sequence[Gpu] = ()
    cpu: str = ""
    """As runs call it."""
    cores: int = 1
    free_bytes: int | None = None
    """Of the host."""

    def device(self, setting: str) -> tuple[str, int | None]:
        """What runs call the device that a setting means, and the memory that is free there; empty if there is none."""
        if setting == CPU or (setting in ("auto", NEXT) and not self.gpus):
            return self.cpu, self.free_bytes
        if setting == NEXT:
            most = max(self.gpus, key=lambda gpu: gpu.free_bytes)
            return most.name, most.free_bytes
        index = int(setting.partition(":")[2] or 0)
        return (self.gpus[index].name, self.gpus[index].free_bytes) if index < len(self.gpus) else ("", None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a run will take, if it is as those before it."""

    epochs: int
    seconds: float
    """Of an epoch: the median of what was measured."""
    low: float
    high: float
    like: str
    """The newest of the runs that it rests on."""
    runs: int
    """How many they are."""
    differs: Sequence[str] = ()
    """In what they were not the same, in words."""
    card_joules: float | None = None
    """Of an epoch: the median over those runs of which it was measured."""
    cpu_joules: float | None = None
    memory_bytes: int | None = None
    free_bytes: int | None = None
    device: str = ""

    @property
    def total(self) -> float:
        """Seconds of the whole run."""
        return self.seconds * self.epochs

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "seconds": self.total,
            "seconds_low": self.low * self.epochs,
            "seconds_high": self.high * self.epochs,
            "epochs": self.epochs,
            "epoch_seconds": self.seconds,
            "epoch_seconds_low": self.low,
            "epoch_seconds_high": self.high,
            "card_joules": None if self.card_joules is None else self.card_joules * self.epochs,
            "cpu_joules": None if self.cpu_joules is None else self.cpu_joules * self.epochs,
            "like": self.like,
            "runs": self.runs,
            "differs": list(self.differs),
            "device": self.device,
            "memory_bytes": self.memory_bytes,
            "free_bytes": self.free_bytes,
        }


@dataclass(frozen=True, slots=True)
class Known:
    """All that was measured, found by what must be the same."""

    measured: Sequence[Measured] = ()
    """The newest first."""
    machine: MachineNow = field(default_factory=MachineNow)
    _found: dict[tuple[Any, ...], list[Measured]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort them by what must be the same."""
        for one in self.measured:
            if one.epochs:
                self._found.setdefault(_key(one.device, one.settings), []).append(one)

    def estimate(self, config: PretrainConfig) -> Estimate | None:
        """What a run of these settings will take; None where nothing comparable was measured."""
        wanted = {name: getattr(config, name) for name in (*_DATA, *_WORK, *_BESIDE, "batch_size")}
        wanted["dataset"] = absolute_dataset(config.dataset)
        wanted["threads"] = config.threads or self.machine.cores
        device, free = self.machine.device(config.device)
        comparable = self._found.get(_key(device, wanted), [])
        if not comparable or not device:
            return None
        best = min(_distance(one, wanted) for one in comparable)
        nearest = [one for one in comparable if _distance(one, wanted) == best]
        seconds = [second for one in nearest for second in one.epochs]
        same_batch = [one for one in nearest if one.settings.get("batch_size") == config.batch_size]
        peaks = [one.memory_bytes for one in same_batch if one.memory_bytes]
        return Estimate(
            epochs=config.epochs,
            seconds=statistics.median(seconds),
            low=min(seconds),
            high=max(seconds),
            like=nearest[0].name,
            runs=len(nearest),
            differs=tuple(_differences(nearest[0], wanted)),
            card_joules=_median([one.card_joules for one in nearest]),
            cpu_joules=_median([one.cpu_joules for one in nearest]),
            memory_bytes=max(peaks) if peaks else None,
            free_bytes=free,
            device=device,
        )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _key(device: str, settings: Mapping[str, Any]) -> tuple[Any, ...]:
    return (device, *(settings.get(name) for name in (*_DATA, *_WORK)))


def _distance(one: Measured, wanted: Mapping[str, Any]) -> tuple[float, int]:
    """How far a run is from the one that is wanted: its batch size first, then how many settings differ."""
    batch, asked = one.settings.get("batch_size") or 1, wanted["batch_size"]
    beside = sum(one.settings.get(name, wanted[name]) != wanted[name] for name in _BESIDE)
    return max(batch / asked, asked / batch), beside


def _differences(one: Measured, wanted: Mapping[str, Any]) -> Iterable[str]:
    names = [name for name in ("batch_size", *_BESIDE) if one.settings.get(name, wanted[name]) != wanted[name]]
    for name in names[:_NAMED]:
        yield f"{name.replace('_', '-')} {show(one.settings[name])}"
    if len(names) > _NAMED:
        yield f"{len(names) - _NAMED} more"


def _range(low: float, high: float, text: str) -> str:
    return f" ({text})" if high - low > 0.005 * low else ""


def _seconds(value: float) -> str:
    return f"{number(value, 2)} s" if value < 60 else duration(value)


def estimate_words(
    found: Estimate | None, now: float, *, key: str, in_line: bool = False, price: Price | None = None
) -> str:
    """How long a run takes, what that rests on, when it ends, the memory and the energy.

    Args:
        found: the estimate, if there is one.
        now: UTC seconds.
        key: what measures where nothing was.
        in_line: whether it begins once its turn comes, so that nobody knows when it ends.
        price: of a kilowatt-hour, if the person has told it.
    """
    if found is None:
        return f"how long it takes is not known: no run like it was measured here; {key}"
    low, high = found.low * found.epochs, found.high * found.epochs
    total = duration(found.total)
    words = [f"about {total}{_range(low, high, f'{duration(low)} to {duration(high)}')}"]
    spread = _range(found.low, found.high, f"{number(found.low, 2)} to {number(found.high, 2)}")
    other = f" with {', '.join(found.differs)}" if found.differs else ""
    more = f" and {found.runs - 1} more" if found.runs > 1 else ""
    words.append(f"{_seconds(found.seconds)} an epoch{spread}, like {found.like}{more}{other}")
    if not in_line:
        words.append(f"ends about {moment(now + found.total, now)}")
    words.append(memory_words(found))
    return " · ".join([*words, *energy_words([found], price)])


def energy_words(found: Sequence[Estimate], price: Price | None) -> list[str]:
    """The energy that such runs took, as far as it was measured of all of them, and what that costs."""
    words, total = [], 0.0
    for name, who in (("card_joules", "by the card"), ("cpu_joules", "by the CPU")):
        each = [getattr(one, name) for one in found]
        if None not in each:
            joules = sum(value * one.epochs for value, one in zip(each, found, strict=True))
            words.append(f"{energy(joules)} {who}")
            total += joules
    return [*words, price.show(price.of(total))] if words and price is not None else words


def memory_words(found: Estimate) -> str:
    """The memory that such runs had, and what is free now."""
    free = f", {size(found.free_bytes)} free now" if found.free_bytes is not None else ""
    if found.memory_bytes is None:
        return f"memory not known yet{free}"
    short = " ✗ too little" if found.free_bytes is not None and found.memory_bytes > found.free_bytes else ""
    what = "memory" if found.device.startswith(ON_CPU) else "in use on the device"
    return f"{what} {size(found.memory_bytes)}{free}{short}"


def sweep_words(found: Sequence[Estimate | None], now: float, *, key: str, price: Price | None = None) -> str:
    """How long several runs take that go one after the other, and the energy."""
    known = [one for one in found if one is not None]
    if not known:
        return estimate_words(None, now, key=key)
    low, high = (sum(getattr(one, end) * one.epochs for one in known) for end in ("low", "high"))
    total = sum(one.total for one in known)
    spread = _range(low, high, f"{duration(low)} to {duration(high)}")
    some = f" for {len(known)} of {len(found)}, the others were never measured" if len(known) < len(found) else ""
    words = f"about {duration(total)}{spread} one after the other{some} · like {known[0].like}"
    return " · ".join([words, *energy_words(known, price)])
