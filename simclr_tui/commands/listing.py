"""`ls`: the list of runs, filtered, sorted and grouped as in the dashboard."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from simclr_tui.commands.output import columns as table_of
from simclr_tui.commands.output import open_reader, run_json, say, say_json
from simclr_tui.model import NO_LABELS, RunRow
from simclr_tui.run_list.columns import Column, column, with_owner
from simclr_tui.run_list.listing import Line, ListView, RunLine, arranged
from simclr_tui.run_list.query import Asked, parse
from trainer.errors import ExitCode, UnknownRunError
from trainer.state import run_state
from trainer.store.figures import NO_FIGURES, FigureReader
from trainer.store.labels import read_labels
from trainer.store.reader import StoreReader

_USUAL = ("id", "run", "kind", "state", "epoch", "loss", "knn", "age", "health")
_FEWEST = 2
"""Columns that a narrow terminal shows at least."""


def list_runs(options: argparse.Namespace, runs: Path) -> int:
    """Print the runs: pinned ones first, then the newest, unless another order is asked for."""
    view, now = _view(options), time.time()
    try:
        with open_reader(runs) as reader:
            rows = _rows(reader, runs, now)
    except UnknownRunError:
        rows = []
    lines = _first(arranged(rows, view, Asked(now)), options.limit)
    if options.json:
        say_json(
            [run_json(line.row.run, line.row.state) | _labels(line.row) for line in lines if isinstance(line, RunLine)]
        )
    elif not rows:
        say(f"no run in {runs} yet; `simclr-tui demo` or `simclr-tui launch` makes one")
    elif not lines:
        words = "no run matches" if options.filter.strip() else "every run is put away"
        say(words if options.all else f"{words}; --all lists archived runs and those in the trash too")
    else:
        say(_table(lines, [column(name) for name in with_owner(view.columns, _USUAL, rows)], now))
    return ExitCode.FINISHED


def _view(options: argparse.Namespace) -> ListView:
    """What the options ask for.

    Raises:
        UsageError: one of them means nothing.
    """
    wanted = parse(options.filter)
    wanted = replace(wanted, asks_for=wanted.asks_for | {"all"}) if options.all else wanted
    names = [name for name in (options.columns or "").split(",") if name.strip()] or _USUAL
    sort = column(options.sort) if options.sort else None
    return ListView(
        filter=wanted,
        sort=sort.id if sort is not None else None,
        is_descending=sort is not None and sort.best_first != options.reverse,
        columns=tuple(column(name).id for name in names),
        group=column(options.group).id if options.group else None,
    )


def _rows(reader: StoreReader, runs: Path, now: float) -> list[RunRow]:
    found = reader.runs()
    labels = read_labels(reader)
    figures, _ = FigureReader().read(reader, found)
    rows = [
        RunRow(
            run,
            run_state(run, runs, now=now),
            len(found) - number,
            labels=labels.get(run.id, NO_LABELS),
            figures=figures.get(run.id, NO_FIGURES),
        )
        for number, run in enumerate(found, start=1)
    ]
    return sorted(rows, key=lambda row: not row.labels.is_pinned)


def _first(lines: Sequence[Line], limit: int | None) -> list[Line]:
    """The lines as far as so many runs."""
    found: list[Line] = []
    count = 0
    for line in lines:
        if count == limit:
            break
        found.append(line)
        count += isinstance(line, RunLine)
    return found


def _labels(row: RunRow) -> dict[str, Any]:
    labels = row.labels
    return {
        "tags": list(labels.tags),
        "note": labels.note,
        "pinned": labels.is_pinned,
        "archived": labels.is_archived,
        "trashed": labels.trashed_at is not None,
    }


def _table(lines: Sequence[Line], shown: list[Column], now: float) -> str:
    """The runs as a table, on a terminal without the columns that don't fit; headings of groups between its lines."""
    rows = [line.row for line in lines if isinstance(line, RunLine)]
    cells = [[one.cell(row, now) for one in shown] for row in rows]
    heading = ["name" if one.id == "run" else f"{one.heading} {one.unit}".strip() for one in shown]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    count = len(shown)
    while True:
        right = [number for number, one in enumerate(shown[:count]) if one.is_right]
        first, *rest = table_of(heading[:count], [row[:count] for row in cells], right=right).splitlines()
        if count <= _FEWEST or max(map(cell_len, (first, *rest))) <= width:
            break
        count -= 1
    told = iter(rest)
    body = [next(told) if isinstance(line, RunLine) else f"\n{line.words}" for line in lines]
    left_out = len(shown) - count
    note = [f"{left_out} more column{'s' if left_out > 1 else ''} in a wider terminal"] if left_out else []
    return "\n".join([first, *body, *note])
