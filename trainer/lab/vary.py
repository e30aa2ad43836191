"""Which values are tried: what a person writes after --vary, and what is tried where nobody says."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from trainer.config import PretrainConfig
from trainer.elsewhere import available_cores
from trainer.errors import ConfigError
from trainer.lab.meaning import VARIED
from trainer.lab.scale import scaled_batch
from trainer.quote import quoted
from trainer.settings import fields_of, parse

MOST_TRIALS = 400
"""Combinations above which a grid is refused."""
_MOST_WORKERS = 64

Values = Mapping[str, tuple[Any, ...]]
"""The values to try, by setting, in the order of the settings' definition."""


def parse_vary(text: str, scale: float = 1.0) -> Values:
    """The values of `num_workers=0,2,4 pin_memory=yes,no`.

    Args:
        text: words with an equals sign, with values between commas; a name may have - for _.
        scale: applied to batch sizes, as it is to those that all trials share.

    Raises:
        ConfigError: a setting that can't be varied or is given twice, a value that it can't have, or too many of them.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for word in text.split():
        written, equals, values = word.partition("=")
        name = written.lstrip("-").replace("-", "_")
        _check_name(name, quoted(word) if not equals else quoted(written))
        if not equals or not values.strip(","):
            raise ConfigError("vary", f"{quoted(word)} has no values; write {name}=A,B")
        if name in found:
            raise ConfigError("vary", f"{name} is given twice; write its values in one list, {name}=A,B")
        found[name] = _values(name, values, scale)
    combinations = math.prod(len(values) for values in found.values())
    if combinations > MOST_TRIALS:
        raise ConfigError("vary", f"makes {combinations:,} combinations, above {MOST_TRIALS}; give fewer values")
    return {name: found[name] for name in VARIED if name in found}


def usual_values(base: PretrainConfig, *, auto: bool) -> Values:
    """What is worth trying on this machine where nobody says: workers up to its cores and every cache.

    A search takes the augmentation that makes the least passes too, since it leaves out early what is slow.

    Args:
        base: the settings that all trials share.
        auto: whether it is a search.
    """
    cores = available_cores()
    powers = {2**power for power in range(cores.bit_length()) if 2**power <= cores}
    workers = sorted({0, cores, *powers} & set(range(_MOST_WORKERS + 1)))
    caches = ("none", "ram") if base.augment == "torchvision" else ("none", "ram", "vram")
    augments = (base.augment, "fused") if auto and base.augment != "fused" else (base.augment,)
    return {"augment": augments, "cache": caches, "num_workers": tuple(workers)}


def _check_name(name: str, written: str) -> None:
    """Raises: ConfigError, where that is no setting that can be varied."""
    if name in VARIED:
        return
    if any(field.name == name for field in fields_of(PretrainConfig)):
        raise ConfigError("vary", f"{name} does not decide how fast a step is made; choose {', '.join(VARIED)}")
    close = difflib.get_close_matches(name, VARIED, n=1)
    remedy = f"did you mean {close[0]}=?" if close else f"choose {', '.join(VARIED)}"
    raise ConfigError("vary", f"{written} is not known; {remedy}")


def _values(name: str, text: str, scale: float) -> tuple[Any, ...]:
    """Raises: ConfigError, where one of them is none that the setting can have."""
    field = next(field for field in fields_of(PretrainConfig) if field.name == name)
    try:
        values = [parse(field, word) for word in text.split(",")]
    except ConfigError as error:
        raise ConfigError("vary", f"{name}: {error.reason}") from error
    if name == "batch_size":
        values = [scaled_batch(value, scale) for value in values]
    return tuple(dict.fromkeys(values))
