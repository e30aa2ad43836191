"""Write docs/reference/ from the code: `python -m docs.make_reference`; with --check, only say what would change.

A page is a function that gives its text, so that a test can hold the files against the code.
"""

import argparse
import json
import os
import re
import sqlite3
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from textual.theme import BUILTIN_THEMES

from simclr_tui.comfort.keymap import APP, MAIN, OTHERS, SMALL, scope
from simclr_tui.comfort.settings_page import schema, template
from simclr_tui.comfort.user_settings import AUTO
from simclr_tui.commands.parser import command_parser
from simclr_tui.commands.verb_help import GROUPS
from simclr_tui.commands.verb_options import verbs_of
from simclr_tui.themes import OWN
from simclr_tui.widgets.key_line import one_key_text
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.errors import ExitCode
from trainer.evaluate_config import EvaluateConfig
from trainer.options import show
from trainer.paths import store_file
from trainer.presets import load_preset, preset_names
from trainer.preview_options import preview_parser
from trainer.run_options import run_parser
from trainer.settings import Field, fields_of
from trainer.store import RunStore

REFERENCE = Path(__file__).parent / "reference"
_MADE = "<!-- Made by `python -m docs.make_reference`; change the code and make it again. -->\n\n"
_CONFIGS: tuple[tuple[str, str, type], ...] = (
    (
        "Pretraining",
        "Of `demo`, `launch`, `fork`, `preview`, `python -m trainer.run` and, where they can't change a result, "
        "`resume`.",
        PretrainConfig,
    ),
    ("Evaluation", "Of `evaluate`.", EvaluateConfig),
    (
        "Benchmark",
        "Of `benchmark`, which also takes the pretraining settings that its trials share. The commands give `base` and "
        "`of`; `vary` is a list of words there.",
        BenchmarkConfig,
    ),
)
_WIDE = 40
"""Characters of a list of choices that are more than a column can take."""
_USUAL_ENVIRONMENT = {"COLUMNS": "100", "HOME": "/home/you"}


def cell(text: str) -> str:
    """Text that can stand in a cell of a table."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else part.replace("<", "&lt;") for number, part in enumerate(parts))


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *([cell(text) for text in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def settings() -> str:
    """Every setting of the three configs."""
    parts = [
        "# Settings\n\nEach has this name in the store, in presets and in the form of a new run, and its option on the "
        "command line. A number may have underscores (`100_000`), yes and no are `--name` and `--no-name`. *Result* "
        "says whether it can change what is learnt; the others may change whenever a run goes on.\n"
    ]
    for title, about, config in _CONFIGS:
        parts.append(f"\n## {title}\n\n{about}\n")
        for group, fields in groupby(fields_of(config), key=lambda field: field.setting.group):
            rows = [_setting(field) for field in fields]
            parts.append(
                f"\n### {title}: {group}\n\n{table(['option', 'values', 'default', 'result', 'what it is'], rows)}"
            )
    return "".join(parts)


def _setting(field: Field) -> list[str]:
    kinds = {bool: "yes or no", int: "a whole number", float: "a number", str: "text"}
    values = ", ".join(f"`{word}`" for word in field.choices if word) if field.choices else field.bounds
    if field.kind is int and field.bounds:
        values = f"{field.bounds}, whole"
    default = f"`{show(field.default)}`" if show(field.default) else "empty"
    return [
        f"`{field.option}`",
        values or kinds[field.kind],
        default,
        "yes" if field.setting.results else "no",
        field.help,
    ]


def commands() -> str:
    """Every verb, the trainer and the preview with their options."""
    parser = command_parser()
    verbs = verbs_of(parser)
    parts = [
        "# Commands\n\n`simclr-tui` without a verb opens the dashboard. Every verb takes `--runs-dir DIR` (else "
        "`$SIMCLR_TUI_RUNS`, else `./runs`) and `--help`. A run is named by its id, the beginning of its id, or its "
        "name. Settings are in [settings](settings.md), what a command ends with in [exit codes](exit-codes.md).\n\n",
        _options(parser, leave_out={"runs_dir"}),
    ]
    for group, names in GROUPS.items():
        parts.append(f"\n## {group}\n")
        for name in names:
            verb = preview_parser() if name == "preview" else verbs.choices[name]
            usage = " ".join(str(verbs.choices[name].usage).split())
            about = next(choice.help for choice in verbs._choices_actions if choice.dest == name) or ""
            parts.append(f"\n### {name}\n\n{_sentence(about)}\n\n```text\n{_wrapped(usage)}\n```\n\n{_options(verb)}")
    parts.append(
        "\n## The trainer\n\n### python -m trainer.run\n\nTrain one run in this process, as the dashboard, a "
        f"supervisor or a cluster starts it.\n\n{_options(run_parser(), leave_out=set())}"
    )
    return "".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _wrapped(usage: str) -> str:
    """A usage in lines that are broken between its brackets and not within them."""
    whole = re.sub(r"\[[^][]*\]", lambda found: found[0].replace(" ", "\0"), usage)
    lines = textwrap.fill(whole, 84, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return lines.replace("\0", " ")


def _options(parser: argparse.ArgumentParser, leave_out: set[str] | None = None) -> str:
    """A table of a parser's own words and options; the settings that it takes are one line below."""
    left_out = {"runs_dir", "help"} if leave_out is None else {*leave_out, "help"}
    known = {field.option for _, _, config in _CONFIGS for field in fields_of(config)}
    rows, groups = [], set()
    for group in parser._action_groups:
        for action in group._group_actions:
            if action.dest in left_out or isinstance(action, argparse._SubParsersAction):
                continue
            if known & set(action.option_strings) and action.default == argparse.SUPPRESS:
                groups |= {group.title} if action.help != argparse.SUPPRESS else set()
            elif action.help != argparse.SUPPRESS:
                rows.append([_written(action), _help(parser, action)])
    text = table(["word or option", "what it is"], rows) if rows else ""
    taken = ", ".join(sorted(str(title) for title in groups))
    return text + (f"\n[Settings](settings.md): {taken}.\n" if taken else "")


def _written(action: argparse.Action) -> str:
    words = "|".join(map(str, action.choices or ()))
    metavar = str(action.metavar or (words if 0 < len(words) <= _WIDE else action.dest.upper()))
    value = {"?": f"[{metavar}]", "*": f"[{metavar} …]", "+": f"{metavar} …", 0: ""}.get(
        "" if action.nargs is None else action.nargs, metavar
    )
    return f"`{' '.join([', '.join(action.option_strings), value]).strip()}`"


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else "–"


def exit_codes() -> str:
    """What a process ends with."""
    rows = [[str(int(code)), f"`{code.name}`", code.meaning] for code in ExitCode]
    about = (
        "Of `simclr-tui` and `python -m trainer.run` alike; `trainer.errors.ExitCode` has them for Python. 70 and 75 "
        "are those of sysexits.h."
    )
    return f"# Exit codes\n\n{about}\n\n{table(['code', 'name', 'meaning'], rows)}"


def tables() -> str:
    """The tables of a store that has just been made."""
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        RunStore.open(runs).close()
        connection = sqlite3.connect(store_file(runs))
        try:
            text = "".join(_tables(connection))
        finally:
            connection.close()
    return (
        "# Tables of the store\n\nEvery column of `runs/runs.db`, as a fresh store has it. What a row is and what the "
        f"figures mean: [the store](../store.md).\n{text}"
    )


def _tables(connection: sqlite3.Connection) -> Iterator[str]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' "
        "AND name NOT LIKE 'sqlite%' ORDER BY name"
    ).fetchall()
    for (name,) in names:
        columns = connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,)).fetchall()
        rows = [
            [f"`{column}`", kind.lower(), str(place) if place else "", "" if needed or place else "yes"]
            for column, kind, needed, place in columns
        ]
        yield f"\n## {name}\n\n{table(['column', 'type', 'place in the key', 'may be NULL'], rows)}"


def keys() -> str:
    """The keys of every screen, as they are without a settings file."""
    parts = [
        "# Keys\n\nThe usual keys of each screen, with the name that the `[keys]` of [the settings file]"
        "(settings-file.md) knows the action by. In the dashboard `?` shows those that hold.\n"
    ]
    for title, place in (MAIN, APP, *OTHERS, *SMALL):
        rows = [
            [
                " ".join(f"`{one_key_text(key)}`" for key in binding.key.split(",")),
                f"`{binding.id}`",
                binding.tooltip or binding.description,
            ]
            for binding in scope(title, place).bindings
        ]
        if rows:
            parts.append(f"\n## {title}\n\n{table(['keys', 'action', 'what it does'], rows)}")
    return "".join(parts)


def settings_file() -> str:
    """A person's settings file: the first one, and its JSON Schema."""
    whole = schema()
    whole["properties"]["keys"]["properties"] = {}
    whole["properties"]["theme"]["enum"] = [AUTO, *(theme.name for theme in OWN)]
    first = template().replace(f", {', '.join(BUILTIN_THEMES)}\n", ", or one of Textual's\n")  # other in each version
    return (
        "# The settings file\n\nHow it works: [keys, colours, notices](../comfort.md).\n\n## A first one\n\n"
        f"What `simclr-tui settings --init` writes.\n\n```toml\n{first}```\n\n## Its JSON Schema\n\n"
        "What `simclr-tui settings --schema` prints, here without Textual's own themes and without the [actions]"
        "(keys.md) of `keys`, each of which is a key or a list of keys.\n\n"
        f"```json\n{json.dumps(whole, indent=2)}\n```\n"
    )


def presets() -> str:
    """Every recipe with its source and what differs from the defaults."""
    usual = PretrainConfig()
    parts = ["# Recipes\n\n`--preset NAME`. A setting that is not named has its [default](settings.md).\n"]
    for name in preset_names():
        preset = load_preset(name)
        rows = [
            [f"`{key}`", f"`{show(value)}`", preset.deviations.get(key, "")]
            for key, value in preset.settings.items()
            if value != getattr(usual, key) or key in preset.deviations
        ]
        rows += [[f"`{key}`", "", words] for key, words in preset.deviations.items() if key not in preset.settings]
        parts.append(
            f"\n## {name}\n\n{preset.title}. Source: {preset.source}.\n\n"
            f"{table(['setting', 'value', 'differs from the source'], rows)}"
        )
    return "".join(parts)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "commands.md": commands,
    "exit-codes.md": exit_codes,
    "tables.md": tables,
    "keys.md": keys,
    "settings-file.md": settings_file,
    "presets.md": presets,
}


def made(name: str) -> str:
    """The text of a page, whoever makes it and wherever."""
    before = {variable: os.environ.get(variable) for variable in _USUAL_ENVIRONMENT}
    os.environ.update(_USUAL_ENVIRONMENT)
    try:
        return _MADE + PAGES[name]().rstrip() + "\n"
    finally:
        for variable, value in before.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or check them; 1 where one is not what the code gives."""
    parser = argparse.ArgumentParser(prog="python -m docs.make_reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name in PAGES:
        path, text = REFERENCE / name, made(name)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not options.check:
                path.write_text(text, encoding="utf-8")
    if stale:
        sys.stdout.write(f"{'not what the code gives' if options.check else 'written'}: {', '.join(stale)}\n")
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
