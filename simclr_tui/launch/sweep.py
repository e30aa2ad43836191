"""A small sweep: a list of values in one or two settings, which makes a run of each combination. Pure.

A list has commas between its values, and a whole number may be a range: `1e-3, 3e-4`, `1..5`, `1..3, 7`. What may hold
a comma itself (a path, milestones) is a list only in double quotes: `"70,90", "60,80"`.
"""

import csv
import difflib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.quote import quoted
from trainer.settings import Field, fields_of, parse
from trainer.start import LONGEST_NAME, checked_name
from trainer.store.labels import LONGEST_TAG

MOST_RUNS = 64
MOST_SETTINGS = 2
TAG = "sweep:"
"""What the tag begins with that all runs of a sweep have."""

WITH_COMMAS = ("dataset", "data_dir", "milestones")
"""Settings whose values may hold a comma."""

_SHORT = {"learning_rate": "lr", "batch_size": "batch", "weight_decay": "wd", "temperature": "t", "backbone": "net"}
"""What names of runs, and `--sweep`, call the settings that are varied most."""

_RANGE = re.compile(r"(\d+)\s*\.\.\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Varied:
    """A setting with the values that it takes in turn."""

    field: Field
    texts: tuple[str, ...]
    """As they were typed."""
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A run that is to be made."""

    name: str
    values: dict[str, Any]
    """The settings that differ from the preset's."""


def varied(field: Field, text: str) -> Varied | None:
    """The list that was typed for a setting, or None where it is one value.

    Raises:
        ConfigError: it is a list, and something is wrong with it.
    """
    texts = _texts(field, text)
    if texts is None:
        return None
    if "" in texts:
        raise ConfigError(field.name, "a value is missing beside a comma; give one, or leave the comma out")
    thousands = next((one for one in texts if field.kind is int and re.fullmatch(r"0\d+", one)), None)
    if thousands is not None:
        raise ConfigError(field.name, f"commas part the values of a list, and {thousands} is none; write 1024 or 1_024")
    values = tuple(parse(field, one) for one in texts)
    for at, value in enumerate(values):
        if value in values[:at]:
            raise ConfigError(field.name, f"{texts[at]} is there twice; leave one of them out")
    return Varied(field, tuple(texts), values)


def _texts(field: Field, text: str) -> list[str] | None:
    """The values of a list, each as it was typed; None where there is one."""
    text = text.strip()
    if field.name in WITH_COMMAS:
        return _quoted_texts(field, text) if text.startswith('"') else None
    parts = [part.strip() for part in text.split(",")]
    found: list[str] = []
    for part in parts:
        is_range = _RANGE.fullmatch(part) if field.kind is int else None
        found += _range(field, int(is_range[1]), int(is_range[2])) if is_range else [part]
    return found if len(parts) > 1 or len(found) > 1 else None


def _range(field: Field, first: int, last: int) -> list[str]:
    if first >= last:
        raise ConfigError(field.name, f"{first}..{last} does not grow; write the smaller number first")
    if last - first >= MOST_RUNS:
        raise ConfigError(field.name, f"{first}..{last} is {last - first + 1:,} values; give at most {MOST_RUNS}")
    return [str(number) for number in range(first, last + 1)]


def _quoted_texts(field: Field, text: str) -> list[str]:
    try:
        found = next(csv.reader([text], skipinitialspace=True, strict=True))
    except (csv.Error, StopIteration):
        raise ConfigError(field.name, 'is a list in which a quote is missing; write "one", "another"') from None
    if len(found) < 2:
        raise ConfigError(field.name, "is a list of one value; add another one, or leave the quotes out")
    return [one.strip() for one in found]


def check_varied(lists: Sequence[Varied]) -> None:
    """See that a sweep is no larger than one can look through.

    Raises:
        ConfigError: it varies too many settings, or makes too many runs.
    """
    if len(lists) > MOST_SETTINGS:
        told = " and ".join(one.field.name.replace("_", "-") for one in lists[:MOST_SETTINGS])
        raise ConfigError(lists[MOST_SETTINGS].field.name, f"{told} are lists already; give this one value")
    count = 1
    for one in lists:
        count *= len(one.values)
        if count > MOST_RUNS:
            raise ConfigError(one.field.name, f"the lists make {count:,} runs; take values out until it is {MOST_RUNS}")


def plan(
    name: str,
    values: Mapping[str, Any],
    lists: Sequence[Varied],
    config: Callable[[dict[str, Any]], PretrainConfig],
) -> list[Planned]:
    """The runs of a sweep, the values of the last list changing fastest.

    Args:
        name: what the names of the runs begin with.
        values: the settings that all of them have.
        lists: what is varied.
        config: makes the config of a run, to see that its settings agree.

    Raises:
        ConfigError: the settings of one of them do not go together, or a name is too long.
    """
    check_varied(lists)
    found: list[Planned] = []
    for texts, chosen in zip(
        itertools.product(*(one.texts for one in lists)),
        itertools.product(*(one.values for one in lists)),
        strict=True,
    ):
        own = dict(values) | {one.field.name: value for one, value in zip(lists, chosen, strict=True)}
        parts = [f"{short_name(one.field)}-{_bare(text)}" for one, text in zip(lists, texts, strict=True)]
        try:
            config(own)
        except ConfigError as error:
            raise ConfigError(error.setting, f"in {'-'.join(parts)}: {error.reason}") from None
        found.append(Planned(_checked("-".join([name, *parts])), own))
    _check_told_apart(found, lists)
    return found


def _checked(name: str) -> str:
    try:
        return checked_name(name)
    except ConfigError:
        reason = f"{quoted(name)} would be longer than {LONGEST_NAME} characters; give a shorter name"
        raise ConfigError("name", reason) from None


def _check_told_apart(found: Sequence[Planned], lists: Sequence[Varied]) -> None:
    """Two folders of one name, say, would make two runs of one name."""
    names = [one.name for one in found]
    again = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if again is not None:
        raise ConfigError(lists[-1].field.name, f"two runs would be called {again}; launch them one by one")


def _bare(text: str) -> str:
    """A value as a part of a name: of a path its last part, with nothing that a shell would split."""
    return re.sub(r"[\s/\\\"':,]+", "_", text.rstrip("/").rpartition("/")[2] or text)


def short_name(field: Field) -> str:
    """What names of runs call a setting."""
    return _SHORT.get(field.name, field.name.replace("_", "-"))


def untaken(base: str, names: Callable[[str], Iterable[str]], taken: Collection[str]) -> str:
    """The base name, or with a number behind it, so that none of the names made from it is taken."""
    for number in range(1, len(taken) + 2):
        name = f"{base}-{number}" if number > 1 else base
        if not any(one in taken for one in names(name)):
            return name
    raise AssertionError("there are more names than runs")


def tag_of(name: str) -> str:
    """The tag of the runs whose names begin so: one word, cut to what a tag may have."""
    return (TAG + "-".join(name.split()))[:LONGEST_TAG]


def parse_sweep(words: Sequence[str]) -> list[Varied]:
    """The lists of a command line's `--sweep lr=1e-3,3e-4 seed=1..3`.

    Raises:
        UsageError: a word is no list of a setting.
    """
    by_name = {field.name: field for field in fields_of(PretrainConfig)}
    by_name |= {short: by_name[name] for name, short in _SHORT.items()}
    found: list[Varied] = []
    for word in words:
        name, sign, text = word.partition("=")
        field = by_name.get(name.strip().lstrip("-").replace("-", "_"))
        if not sign or field is None:
            close = difflib.get_close_matches(name, [one.replace("_", "-") for one in by_name], n=1)
            remedy = (
                f"did you mean {close[0]}?" if close and field is None else "write NAME=V1,V2, such as lr=1e-3,3e-4"
            )
            raise UsageError(f"--sweep: {quoted(word)} is no setting with values; {remedy}")
        one = varied(field, text)
        if one is None:
            raise UsageError(f"--sweep: {field.name} has one value; give more, or {field.option} {quoted(text)}")
        if any(other.field is field for other in found):
            raise UsageError(f"--sweep: {field.name} is there twice; give all its values at once")
        found.append(one)
    check_varied(found)
    return found
