"""One definition of each setting: its type, bounds, unit, group and help.

A config is a frozen dataclass whose fields are annotated with `Setting` and followed by a docstring. From that
one place come the command line's options, the dashboard's form, the help of both and the sentence of an error.
"""

import ast
import dataclasses
import inspect
import math
import textwrap
import typing
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from trainer.errors import ConfigError
from trainer.quote import quoted

_TRUE = {"yes", "true", "on", "1"}
_FALSE = {"no", "false", "off", "0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a field's annotation says beyond its type."""

    group: str
    """Heading under which help and form show it."""
    low: float | None = None
    """Smallest value allowed."""
    high: float | None = None
    """Largest value allowed."""
    unit: str = ""
    """Unit of the value, in words."""
    common: bool = False
    """True for what people change often: shown before the fold of the form."""
    results: bool = True
    """False where the setting cannot change a result, only its speed or what is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A setting as a command line or a form needs it."""

    name: str
    kind: type
    """bool, int, float or str."""
    choices: tuple[str, ...]
    """The words allowed, or nothing where any value within the bounds is."""
    default: Any
    help: str
    setting: Setting

    @property
    def option(self) -> str:
        """The setting as a command-line option."""
        return "--" + self.name.replace("_", "-")

    @property
    def bounds(self) -> str:
        """The values allowed, in words: `1 to 4096 images`."""
        if self.choices:
            return ", ".join(self.choices)
        low, high, unit = self.setting.low, self.setting.high, self.setting.unit
        words = {
            (False, False): "",
            (True, False): f"at least {_number(low)}",
            (False, True): f"at most {_number(high)}",
            (True, True): f"{_number(low)} to {_number(high)}",
        }[low is not None, high is not None]
        return f"{words} {unit}".strip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _docstrings(cls: type) -> dict[str, str]:
    """The string after each field of a dataclass."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, after in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[statement.target.id] = " ".join(str(after.value.value).split())
    return found


_FIELDS: dict[type, tuple[Field, ...]] = {}


def fields_of(cls: type) -> tuple[Field, ...]:
    """Every setting of a config class, in the order of its definition. Reads only the class."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _read_fields(cls)
    return _FIELDS[cls]


def _read_fields(cls: type) -> tuple[Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    helps = _docstrings(cls)
    result = []
    for field in dataclasses.fields(cls):
        annotation, *metadata = get_args(hints[field.name])
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        result.append(
            Field(
                name=field.name,
                kind=str if choices else annotation,
                choices=choices,
                default=field.default,
                help=helps[field.name],
                setting=next(m for m in metadata if isinstance(m, Setting)),
            )
        )
    return tuple(result)


def parse(field: Field, text: str) -> Any:
    """The value that a person typed for a setting.

    Raises:
        ConfigError: the text is not of the setting's type or is out of its bounds.
    """
    text = text.strip()
    if field.kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigError(field.name, f"{quoted(text)} is neither yes nor no; write one of them")
    if field.kind is str:
        return check(field, text)
    try:
        value = field.kind(text.replace("_", ""))
    except ValueError:
        noun = "a whole number" if field.kind is int else "a number"
        raise ConfigError(field.name, f"{quoted(text)} is not {noun}; give {field.bounds or noun}") from None
    return check(field, value)


def check(field: Field, value: Any) -> Any:
    """The value itself if its type and bounds are right.

    Raises:
        ConfigError: they are not; the sentence says what is allowed.
    """
    if field.choices:
        if value not in field.choices:
            words = ", ".join(filter(None, field.choices))
            raise ConfigError(field.name, f"{quoted(value)} is not one of {words}; choose one of them")
        return value
    right_type = type(value) is field.kind or (field.kind is float and type(value) is int)
    if not right_type:
        raise ConfigError(field.name, f"{quoted(value)} is not of type {field.kind.__name__}; give {field.bounds}")
    if field.kind in (int, float):
        low, high = field.setting.low, field.setting.high
        too_low = low is not None and value < low
        too_high = high is not None and value > high
        if too_low or too_high or not math.isfinite(value):
            raise ConfigError(field.name, f"{quoted(value)} is out of bounds; give {field.bounds}")
        return field.kind(value)
    if isinstance(value, str) and "\0" in value:
        raise ConfigError(field.name, f"{quoted(value)} holds a NUL, which no path or name does; leave it out")
    return value


def check_all(config: Any) -> None:
    """Check every field of a config against its own definition.

    Raises:
        ConfigError: for the first one that is out of bounds.
    """
    for field in fields_of(type(config)):
        check(field, getattr(config, field.name))
