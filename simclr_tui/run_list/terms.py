"""What the terms of a filter ask of a run. Pure.

A term that asks what is not known of a run does not hold, so that its opposite does.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from simclr_tui.model import RunRow
from simclr_tui.run_list.columns import (
    COLUMNS,
    OTHER_NAMES,
    SETTING,
    SHORT_NAMES,
    Column,
    Value,
    closest,
    column,
    setting_kinds,
)
from trainer.errors import UsageError
from trainer.quote import quoted
from trainer.state import STATES

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(min|[smhdw])?")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class FilterError(UsageError):
    """A filter is wrong; the sentence says what would be right."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a filter needs to know beside the run."""

    now: float
    """UTC seconds."""
    marked: Collection[str] = ()
    """Ids of the marked runs."""


Test = Callable[[RunRow, Asked], bool]

_IS: Mapping[str, Test] = {
    "all": lambda *_: True,
    "archived": lambda row, _: row.labels.is_archived,
    "fork": lambda row, _: row.run.parent_run_id is not None,
    "live": lambda row, _: row.is_live,
    "marked": lambda row, asked: row.run.id in asked.marked,
    "pinned": lambda row, _: row.labels.is_pinned,
    "sick": lambda row, _: row.run.health_level == "sick",
    "trashed": lambda row, _: row.labels.trashed_at is not None,
}


def negated(test: Test) -> Test:
    """The opposite of a test."""
    return lambda row, asked: not test(row, asked)


def word(text: str) -> Test:
    """Whether a word is part of what is written on a run."""
    return partial(_has_word, word=text.lower())


def compared(name: str, sign: str, value: str, *, is_whole: bool) -> Test:
    """What a name, a sign and a value ask.

    Args:
        name: as it was typed.
        sign: one of : = != < <= > >=.
        value: as it was typed, without quotes.
        is_whole: False where commas separate values of which any will do.

    Raises:
        FilterError: they mean nothing.
    """
    values = [value] if is_whole or sign in ("<", "<=", ">", ">=") else [one for one in value.split(",") if one]
    if name.lower() == "is":
        return _one_of(sign, [_is(one) for one in values] or [_is("")])
    try:
        what = column(name)
    except UsageError:
        names = ["is", *COLUMNS, *OTHER_NAMES, *SHORT_NAMES, *setting_kinds()]
        meant = closest(name.lower(), names)
        quotes = " In quotes it is a word" if meant else "; in quotes it is a word"
        raise FilterError(f"nothing is called {quoted(name)}{meant}{quotes}") from None
    if not "".join(values).strip():
        raise FilterError(f"{name}{sign} needs {_wanted(what)} behind it")
    return (_of_words if what.kind == "word" else _of_numbers)(what, name, sign, values)


def _wanted(what: Column) -> str:
    if what.id == "state":
        return "a state"
    kinds = {"word": "a word", "percent": "a percentage", "duration": "a time such as 2d or 1h30m"}
    return kinds.get(what.kind, "a number")


def _has_word(row: RunRow, _: Asked, *, word: str) -> bool:
    run, labels = row.run, row.labels
    texts = (run.name, run.id, run.preset or "", row.state, run.kind, run.owner or "", *labels.tags, labels.note)
    return any(word in text.lower() for text in texts)


def _is(word: str) -> Test:
    test = _IS.get(word.lower())
    if test is None:
        raise FilterError(f"is: knows {', '.join(_IS)}{closest(word.lower(), _IS)}")
    return test


def _one_of(sign: str, tests: list[Test]) -> Test:
    if sign not in (":", "=", "!="):
        raise FilterError(f"{sign} compares numbers; : asks for a word")
    either: Test = lambda row, asked: any(test(row, asked) for test in tests)  # noqa: E731 - its type is told so
    return negated(either) if sign == "!=" else either


def _of_words(what: Column, name: str, sign: str, values: list[str]) -> Test:
    if sign not in (":", "=", "!="):
        raise FilterError(
            f"{name} is a word, so {sign} says nothing of it; {name}: asks for a part of it, {name}= for all"
        )
    wanted = [value.strip().lower() for value in values]
    if what.id == "state":
        wanted = [state for value in wanted for state in _states(value)]
    elif what.id.startswith(SETTING) and setting_kinds()[what.id.removeprefix(SETTING)] is bool:
        wanted = [_yes_or_no(name, value) for value in wanted]
    is_part = sign == ":" and what.id != "state"
    return _one_of(sign, [partial(_is_word, what=what, wanted=value, is_part=is_part) for value in wanted])


def _states(value: str) -> list[str]:
    found = [state for state in STATES if state.startswith(value)]
    if not found:
        raise FilterError(
            f"no state is called {quoted(value)}{closest(value, STATES) or '; there are ' + ', '.join(STATES)}"
        )
    return found


def _yes_or_no(name: str, value: str) -> str:
    if value in _YES or value in _NO:
        return "yes" if value in _YES else "no"
    raise FilterError(f"{name} is yes or no")


def _is_word(row: RunRow, asked: Asked, *, what: Column, wanted: str, is_part: bool) -> bool:
    if what.id == "tags":
        return any(wanted in tag.lower() if is_part else wanted == tag.lower() for tag in row.labels.tags)
    value = what.value(row, asked.now)
    text = value.lower() if isinstance(value, str) else ""
    return wanted in text if is_part else bool(text) and text == wanted


def _of_numbers(what: Column, name: str, sign: str, values: list[str]) -> Test:
    if sign in (":", "=", "!="):
        equals: list[Test] = [partial(_is_equal, what=what, wanted=_number(what, name, v), text=v) for v in values]
        return _one_of(sign, equals)
    return partial(_compares, what=what, sign=sign, wanted=_number(what, name, values[0]))


def _number(what: Column, name: str, text: str) -> float:
    """The number that was typed for a column."""
    text = text.strip().lower().removesuffix("%" if what.kind == "percent" else "")
    if what.kind == "duration":
        parts = _DURATION.findall(text)
        if parts and "".join(map("".join, parts)) == text:
            return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    try:
        number = float(text.replace(",", "") if _THOUSANDS.fullmatch(text) else text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FilterError(f"{name} is compared with {_wanted(what)}, and {quoted(text)} is none")
    return number


def _known(value: Value) -> float | None:
    return None if value is None or isinstance(value, str) or math.isnan(value) else value


def _is_equal(row: RunRow, asked: Asked, *, what: Column, wanted: float, text: str) -> bool:
    """Whether a figure is the wanted one, as far as digits were typed; a setting is exact."""
    value = _known(what.value(row, asked.now))
    if value is None:
        return False
    is_exact = what.id.startswith(SETTING) or "e" in text.lower()
    digits = 0 if is_exact else len(text.partition(".")[2].rstrip("%"))
    return math.isclose(value, wanted, rel_tol=1e-9) or (digits > 0 and round(value, digits) == wanted)


def _compares(row: RunRow, asked: Asked, *, what: Column, sign: str, wanted: float) -> bool:
    value = _known(what.value(row, asked.now))
    if value is None:
        return False
    if sign in ("<", "<="):
        return value < wanted or (sign == "<=" and value == wanted)
    return value > wanted or (sign == ">=" and value == wanted)
