"""A comparison as text, Markdown, CSV and JSON. Pure."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from simclr_tui.compare.layout import Layout, plain
from simclr_tui.compare.settings import DIFFERENT
from simclr_tui.compare.table import Comparison, Group, Line

_SPECIAL = re.compile(r"[\\|*`<\[]|(?<!\w)_|_(?!\w)")
"""What means something in a cell of a Markdown table; an underscore within a word does not."""

_UNLIMITED = 10_000
"""A width at which every run has its column."""


def text(comparison: Comparison, width: int | None = None, *, unfolded: bool = False) -> str:
    """The table for a terminal, with as many runs beside each other as fit; the others follow below.

    Args:
        comparison: what is written.
        width: cells of a line; None for as many as it takes.
        unfolded: also the settings that are equal.
    """
    blocks, place = [], 0
    while place < len(comparison.headings):
        shown = Layout(comparison=comparison, width=width or _UNLIMITED, unfolded=unfolded, cursor=place or None)
        rows = [_unmarked(plain(shown.heading())), *map(plain, shown.body())]
        blocks.append("\n".join(rows))
        place = shown.visible[-1] + 1
    return "\n\n".join(blocks)


def _unmarked(heading: str) -> str:
    """Without the sign of the highlighted run: nothing is highlighted on paper."""
    return heading.replace("▸", " ")


def markdown(comparison: Comparison, *, unfolded: bool = False) -> str:
    """A table for each group under its title, and the notes."""
    marks = {note: number for number, note in enumerate(comparison.notes, start=1)}
    names = [f"{one.sign} {one.name}" for one in comparison.headings]
    first = comparison.headings[0].name
    blocks = [
        f"# {' · '.join(_escaped(one.name) for one in comparison.headings)}",
        f"Deltas are against {_escaped(first)}; ★ is the best of a row.",
    ]
    for group in comparison.shown(unfolded=unfolded):
        blocks.append(f"## {group.title}")
        blocks += [_escaped(group.remark)] if group.remark else []
        blocks += [_markdown_table(group, names, marks)] if group.lines else []
        if group.title == DIFFERENT and not unfolded:
            blocks.append(f"{comparison.folded}.")
    blocks += ["\n".join(f"{number}. {note}" for note, number in marks.items())] if marks else []
    return "\n\n".join(blocks) + "\n"


def _markdown_table(group: Group, names: Sequence[str], marks: dict[str, int]) -> str:
    heading = ["", *map(_escaped, names)]
    rows = [[_escaped(_title(line, marks)), *(_escaped(cell.words) for cell in line.cells)] for line in group.lines]
    widths = [max(3, *(cell_len(row[column]) for row in (heading, *rows))) for column in range(len(heading))]

    def written(cells: Sequence[str]) -> str:
        return (
            "| " + " | ".join(cell + " " * (w - cell_len(cell)) for cell, w in zip(cells, widths, strict=True)) + " |"
        )

    rule = "| " + " | ".join("-" * w if not column else "-" * (w - 1) + ":" for column, w in enumerate(widths)) + " |"
    return "\n".join([written(heading), rule, *map(written, rows)])


def _title(line: Line, marks: dict[str, int]) -> str:
    return f"{line.title} ({marks[line.note]})" if line.note in marks else line.title


def _escaped(cell: str) -> str:
    """What would end a cell or begin another thing."""
    return _SPECIAL.sub(r"\\\g<0>", cell)


def as_csv(comparison: Comparison, *, unfolded: bool = False) -> str:
    """A row for each row of the table with plain numbers in the unit that is named, and which runs are the best."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["group", "row", "unit", *(one.name for one in comparison.headings), "best", "note"])
    for group in comparison.shown(unfolded=unfolded):
        for line in group.lines:
            best = [one.name for one, cell in zip(comparison.headings, line.cells, strict=True) if cell.is_best]
            values = [_plain(cell.value) for cell in line.cells]
            writer.writerow([group.title, line.name, line.unit, *values, "; ".join(best), line.note])
            epochs = [cell.epoch for cell in line.cells]
            if any(epoch is not None for epoch in epochs):
                shown = ["" if epoch is None else epoch for epoch in epochs]
                writer.writerow([group.title, f"{line.name}: epoch", "", *shown, "", ""])
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    """A value as a spreadsheet takes it, without the digits that come from counting in binary."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else float(f"{value:.12g}") if isinstance(value, float) else value


def document(comparison: Comparison) -> dict[str, Any]:
    """Everything, for scripts: also the settings that are equal."""
    return {
        "runs": [{"id": one.run_id, "name": one.name, "state": one.state} for one in comparison.headings],
        "reference": comparison.headings[0].run_id,
        "groups": [_group(comparison, group) for group in comparison.shown(unfolded=True)],
    }


def as_json(comparison: Comparison) -> str:
    """The same as text."""
    return json.dumps(document(comparison), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _group(comparison: Comparison, group: Group) -> dict[str, Any]:
    return {"title": group.title, "remark": group.remark, "rows": [_row(comparison, line) for line in group.lines]}


def _row(comparison: Comparison, line: Line) -> dict[str, Any]:
    cells = {
        one.run_id: {
            "value": None if isinstance(cell.value, float) and not math.isfinite(cell.value) else cell.value,
            "text": cell.text,
            "epoch": cell.epoch,
            "is_best": cell.is_best,
            "difference": cell.difference,
        }
        for one, cell in zip(comparison.headings, line.cells, strict=True)
    }
    about = {"name": line.name, "unit": line.unit, "better": line.better.value, "difference": line.delta.value}
    return about | {"note": line.note, "cells": cells}
