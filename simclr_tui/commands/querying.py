"""`query`: anybody's own question to the store, in SQL, with the answer as a table, as CSV or as JSON."""

import argparse
import sys
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import columns, one_line, open_reader, say, say_csv, say_json
from simclr_tui.format import count
from trainer.errors import ExitCode, UsageError
from trainer.store.query import Answer, query, tables

_STDIN = "-"


def ask(options: argparse.Namespace, runs: Path) -> int:
    """Print what a statement gives, or the tables where there is none.

    Raises:
        UsageError: it can't be answered, or the options make no sense.
    """
    if options.csv and options.json:
        raise UsageError("--json: give either it or --csv")
    if not options.seconds > 0:
        raise UsageError(f"--seconds: {options.seconds:g} is no time to answer in; give more than 0")
    statement = sys.stdin.read() if options.statement == _STDIN else options.statement
    with open_reader(runs) as reader:
        answer = tables(reader) if statement is None else query(reader, statement, seconds=options.seconds)
    if options.json:
        say_json(_objects(answer))
    elif options.csv:
        say_csv(answer.names, (list(map(_plain, row)) for row in answer.rows))
    else:
        _say_table(answer)
    return ExitCode.FINISHED


def _objects(answer: Answer) -> list[dict[str, Any]]:
    """A row as an object; bytes, which JSON has none of, in hexadecimal digits."""
    doubled = next((name for number, name in enumerate(answer.names) if name in answer.names[:number]), None)
    if doubled is not None:
        raise UsageError(f"--json: two columns are called {doubled}; call one something else with AS")
    return [dict(zip(answer.names, map(_plain, row), strict=True)) for row in answer.rows]


def _say_table(answer: Answer) -> None:
    rows = [[_shown(value) for value in row] for row in answer.rows]
    numeric = [
        number
        for number in range(len(answer.names))
        if any(isinstance(row[number], int | float) for row in answer.rows)
    ]
    say(columns([_shown(name) for name in answer.names], rows, right=numeric))
    if sys.stdout.isatty():
        say(f"\n{'1 row' if len(rows) == 1 else f'{count(len(rows))} rows'}")


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _shown(value: Any) -> str:
    """A value in one line of a terminal; names and messages may hold anything."""
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(_plain(value))
    return one_line(text)
