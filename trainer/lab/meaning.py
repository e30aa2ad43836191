"""The settings that a benchmark may vary, what they mean together, and what they are called."""

from collections.abc import Mapping
from typing import Any

from trainer.config import PretrainConfig

VARIED = (
    *("augment", "cache", "num_workers", "persistent_workers", "pin_memory", "prefetch_factor"),
    *("batch_size", "drop_last", "precision", "channels_last", "compile", "deterministic"),
)
"""Settings whose values may be tried against each other, in the order in which a trial's name has them."""

_NEEDS_LOADER = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor")
_NEEDS_WORKERS = ("persistent_workers", "prefetch_factor")
_BY_VALUE: Mapping[tuple[str, Any], str] = {
    ("cache", "none"): "no cache",
    ("compile", "no"): "eager",
    ("compile", "yes"): "compiled",
    ("drop_last", True): "no short last batch",
    ("drop_last", False): "short last batch",
    ("num_workers", 0): "no workers",
    ("num_workers", 1): "1 worker",
    ("persistent_workers", True): "persistent",
    ("persistent_workers", False): "not persistent",
    ("pin_memory", True): "pinned",
    ("pin_memory", False): "not pinned",
    ("channels_last", "yes"): "channels last",
    ("channels_last", "no"): "channels first",
    ("deterministic", "yes"): "deterministic",
    ("deterministic", "no"): "not deterministic",
}
_PLAIN = ("augment", "cache", "precision", "compile")
"""Settings whose values say by themselves what they are of."""


def meaning(config: PretrainConfig, *, on_cuda: bool) -> dict[str, Any]:
    """The varied settings that do something there, with `auto` settled where that is known without the device.

    Two configs of the same meaning would be measured as the same thing.
    """
    return meaning_of({name: getattr(config, name) for name in VARIED}, on_cuda=on_cuda)


def meaning_of(values: Mapping[str, Any], *, on_cuda: bool) -> dict[str, Any]:
    """The same of values for each of `VARIED`, which need not go together.

    A split that lies on the device needs no loader, workers that are none can't persist or load ahead, and a CPU has no
    use for page-locked memory.
    """
    silent: set[str] = set()
    if values["cache"] == "vram":
        silent.update(_NEEDS_LOADER)
    if not values["num_workers"]:
        silent.update(_NEEDS_WORKERS)
    if not on_cuda:
        silent.add("pin_memory")
    settled = {"channels_last": "yes" if on_cuda else "no", "deterministic": "yes"}
    if not on_cuda:
        settled |= {"precision": "float32", "compile": "no"}
    return {
        name: settled.get(name, value) if value == "auto" else value
        for name, value in values.items()
        if name not in silent
    }


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> frozenset[str]:
    """Settings that two meanings both have, with other values.

    One that only one of them has (workers, beside a split on the device) goes with one that differs.
    """
    return frozenset(name for name in first.keys() & second.keys() if first[name] != second[name])


def word(name: str, value: Any) -> str:
    """What a value is called in a trial's name: `2 workers`, `pinned`, `batch 512`."""
    if (name, value) in _BY_VALUE:
        return _BY_VALUE[name, value]
    if name == "num_workers":
        return f"{value} workers"
    if name in _PLAIN and value != "auto":
        return str(value)
    return f"{name.removesuffix('_size').removesuffix('_factor').replace('_', ' ')} {value}"


def name_of(values: Mapping[str, Any], names: frozenset[str]) -> str:
    """A trial's name: the words of those settings of its meaning that are told apart, `fused · vram`."""
    words = [word(name, values[name]) for name in VARIED if name in names and name in values]
    return " · ".join(words) or "current settings"
