"""Command-line options made from a config's own fields; both entry points take theirs from here.

Only what the person wrote ends up in the namespace, so that a preset's value and a default are never mistaken for
a wish.
"""

import argparse
import difflib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, Protocol

from trainer.errors import ExitCode, UsageError
from trainer.quote import LONGEST_QUOTE, printable, quoted
from trainer.settings import Field, fields_of, parse

_METAVARS = {int: "N", float: "X", str: "TEXT"}


class _Container(Protocol):
    def add_argument_group(self, title: str) -> Any: ...


class OptionParser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence on stderr and exit code 2, without the usage.

    Options can't be abbreviated: a script must not change its meaning when an option is added. A misspelt one
    is answered with the nearest that exist.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        """Takes what argparse takes."""
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **options)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The namespace of a command line; ends the process with code 2 where the line is wrong."""
        try:
            found, unknown = self.parse_known_args(args, namespace)
        except UsageError as error:
            self.error(str(error))
        if unknown:
            self.error(self._unknown_argument(unknown))
        return found

    def error(self, message: str) -> NoReturn:
        """Print one sentence and end the process with the exit code of wrong usage."""
        sentence = message.removeprefix("argument ")
        if "not allowed with argument" in sentence:
            sentence = sentence.replace("with argument", "with") + "; give one of them"
        self.exit(ExitCode.USAGE, f"simclr-tui: {sentence}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        where = f"{action.option_strings[-1]}: " if action.option_strings else ""
        raise UsageError(f"{where}{quoted(value)} is not known; {_nearest(str(value), names, among=True)}")

    def _unknown_argument(self, unknown: list[str]) -> str:
        first = next((text for text in unknown if text.startswith("-")), unknown[0])
        if not first.startswith("-"):
            return f"{quoted(first)} is one argument too many; `--help` shows what is taken"
        written = first.partition("=")[0]
        others = sorted({option for option in _options(self) if option != written})
        return f"there is no option {printable(written[:LONGEST_QUOTE])}; {_nearest(written, others, among=False)}"


class HelpFormatter(argparse.HelpFormatter):
    """Help with room for the names of the settings."""

    def __init__(self, prog: str, **options: Any) -> None:
        """Takes what argparse's own formatter takes."""
        options.setdefault("max_help_position", 34)
        super().__init__(prog, **options)


def add_settings(parser: _Container, cls: type, *, leave_out: Sequence[str] = ()) -> None:
    """Add every setting of a config class, but those left out, as an option, in one group a `Setting.group`."""
    wanted = [field for field in fields_of(cls) if field.name not in leave_out]
    for title, fields in itertools.groupby(wanted, key=lambda field: field.setting.group):
        group = parser.add_argument_group(title)
        for field in fields:
            _add_option(group, field)


def given(namespace: argparse.Namespace, cls: type) -> dict[str, Any]:
    """The settings that the person wrote, by name, with values of their own type."""
    return {field.name: getattr(namespace, field.name) for field in fields_of(cls) if hasattr(namespace, field.name)}


def describe(field: Field) -> str:
    """A setting's help with the values allowed and the default: `Passes over the split. [1 to 9 epochs; default 5]`."""
    allowed = "" if field.choices or field.kind is bool else field.bounds
    return f"{field.help} [{'; '.join(filter(None, (allowed, f'default {show(field.default)}')))}]"


def show(value: Any) -> str:
    """A setting's value as a person would type it; `parse` takes it back."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _add_option(group: Any, field: Field) -> None:
    help_text = describe(field).replace("%", "%%")
    if field.kind is bool:
        group.add_argument(
            field.option,
            dest=field.name,
            action=argparse.BooleanOptionalAction,
            default=argparse.SUPPRESS,
            help=help_text,
        )
        return
    metavar = f"{{{','.join(field.choices)}}}" if field.choices else _METAVARS[field.kind]
    group.add_argument(
        field.option,
        dest=field.name,
        type=_parser_of(field),
        metavar=metavar,
        default=argparse.SUPPRESS,
        help=help_text,
    )


def _parser_of(field: Field) -> Callable[[str], Any]:
    """The setting's own parser; its ConfigError is no ValueError, so argparse lets it pass with its sentence."""
    return lambda text: parse(field, text)


def _nearest(written: str, names: Sequence[str], *, among: bool) -> str:
    """What the person may have meant, as the second half of a sentence."""
    bare = {name.lstrip("-"): name for name in names}  # dashes alike would make any two options look close
    close = difflib.get_close_matches(written.lstrip("-"), bare, n=1)
    if close:
        return f"did you mean {bare[close[0]]}?"
    return f"choose {', '.join(names)}" if among else "`--help` lists them all"


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from _options(child)
