"""`metrics`: every series of a run, and the values of some of them for people and for scripts."""

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from simclr_tui.charts.curves import CurveReader
from simclr_tui.charts.drawn import Drawn, View, trunk_of
from simclr_tui.charts.panels import chart_data
from simclr_tui.commands.metrics_series import SeriesFacts, all_values, facts_of, resolve
from simclr_tui.commands.output import columns, open_reader, say, say_csv, say_json
from simclr_tui.format import count, number
from simclr_tui.model import Curves, RunRow
from simclr_tui.plot.draw import draw, text_of
from simclr_tui.plot.series import Sample, Scale, reduce, smooth
from trainer.errors import ExitCode, UsageError
from trainer.state import run_state
from trainer.store.reader import StoreReader
from trainer.store.records import Run

_CHART_ROWS = 12
_ALL = 10**9
"""More columns than a run has steps: every one of them is read."""


def show_metrics(options: argparse.Namespace, runs: Path) -> int:
    """List the series of a run, or print the values of those that are named.

    Raises:
        UsageError: the run has no such series, or the options make no sense.
    """
    _check(options)
    with open_reader(runs) as reader:
        run = reader.find(options.run)
        facts = facts_of(reader, run)
        if not options.names:
            _say_list(run, facts, options)
            return ExitCode.FINISHED
        ids = [resolve(name, facts, run.name) for name in options.names]
        drawn = _drawn(reader, run, runs, ids, options.points)
    view = View(axis=options.x, smoothing=options.smooth, charts=tuple(ids))
    tables = {name: _table(all_values(drawn, name, view), options) for name in ids}
    if options.json:
        say_json({"id": run.id, "name": run.name, "x": options.x, "series": _document(tables)})
    elif options.csv:
        _say_csv(tables, options)
    else:
        for name, rows in tables.items():
            _say_table(name, rows, drawn, view)
    return ExitCode.FINISHED


def _check(options: argparse.Namespace) -> None:
    if options.csv and options.json:
        raise UsageError("--json: give either it or --csv")
    if options.points < 0:
        raise UsageError(f"--points: {options.points} is below 0; give 0 for all values")
    if not 0 <= options.smooth <= 1:
        raise UsageError(f"--smooth: {options.smooth:g} is no part of x; give 0 to 1")


def _say_list(run: Run, facts: Sequence[SeriesFacts], options: argparse.Namespace) -> None:
    if options.json:
        say_json({"id": run.id, "name": run.name, "series": [dataclasses.asdict(one) for one in facts]})
        return
    if options.csv:
        names = [field.name for field in dataclasses.fields(SeriesFacts)]
        say_csv(names, ([getattr(one, name) for name in names] for one in facts))
        return
    if not facts:
        say(f"{run.name} has measured nothing so far")
        return
    rows = [
        [one.name, one.of, count(one.count), number(one.last, 4), number(one.low, 4), number(one.high, 4)]
        for one in facts
    ]
    say(columns(["series", "of", "values", "last", "lowest", "highest"], rows, right=(2, 3, 4, 5)))


def _drawn(reader: StoreReader, run: Run, runs: Path, ids: Sequence[str], points: int) -> Drawn:
    """The run with what those charts need of it and, where it is a fork, of the runs before."""

    # Times are exact where every step is known; of a long run the nearest buckets do.
    columns = _ALL if points == 0 else max(points, 200)
    known = {one.id: one for one in reader.runs()} if run.parent_run_id else {}

    def row_of(run_id: str | None) -> RunRow | None:
        one = known.get(run_id or "")
        return RunRow(one, run_state(one, runs), 0) if one is not None else None

    def curves_of(row: RunRow) -> Curves:
        return CurveReader(row.run.id).read_all(reader, row.run, columns, charts=ids)

    row = RunRow(run, run_state(run, runs), 0)
    return Drawn(row, curves_of(row), trunk_of(run, row_of, curves_of))


def _table(samples: Sequence[Sample], options: argparse.Namespace) -> list[tuple[Sample, float | None]]:
    """As many values as were asked for, each with the moving average there."""
    if not samples:
        return []
    smoothed: Sequence[Sample] = ()
    if options.smooth > 0:
        smoothed = smooth(samples, options.smooth * (samples[-1].x - min(0.0, samples[0].x)))
    if options.points == 0 or len(samples) <= options.points:
        return [(one, smoothed[number].value if smoothed else None) for number, one in enumerate(samples)]
    scale = Scale(samples[0].x, samples[-1].x, options.points)
    raw, means = reduce(samples, scale), reduce(smoothed, scale)
    return [(raw[column], means[column].value if smoothed else None) for column in sorted(raw)]


def _document(tables: dict[str, list[tuple[Sample, float | None]]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "points": [
                {"x": one.x, "value": one.value, "low": one.low, "high": one.high}
                | ({} if mean is None else {"smoothed": mean})
                for one, mean in rows
            ],
        }
        for name, rows in tables.items()
    ]


def _say_csv(tables: dict[str, list[tuple[Sample, float | None]]], options: argparse.Namespace) -> None:
    heading = ["series", options.x, "value", "low", "high", *(["smoothed"] if options.smooth > 0 else [])]

    def rows() -> Iterator[list[Any]]:
        for name, table in tables.items():
            for one, mean in table:
                yield [name, one.x, one.value, one.low, one.high, *([mean] if options.smooth > 0 else [])]

    say_csv(heading, rows())


def _say_table(name: str, rows: Sequence[tuple[Sample, float | None]], drawn: Drawn, view: View) -> None:
    """A chart where a terminal shows it, else the values below each other."""
    if sys.stdout.isatty():
        data = chart_data(name, [drawn], view)
        # Without colours the raw values would hide the curve.
        data = replace(data, lines=[line for line in data.lines if not line.band])
        say(f"{drawn.row.run.name} · {data.title}")
        width = shutil.get_terminal_size().columns
        for line in text_of(draw(data, width, _CHART_ROWS)):
            say(line.rstrip())
        values = [one for one, _ in rows]
        if values:
            low, high = min(one.low for one in values), max(one.high for one in values)
            say(f"last {number(values[-1].value, 4)} · lowest {number(low, 4)} · highest {number(high, 4)} as stored\n")
        return
    heading = [f"{view.axis}, s" if view.by_time else view.axis, name, "lowest", "highest"]
    table = [[f"{one.x:.10g}", *(number(value, 6) for value in (one.value, one.low, one.high))] for one, _ in rows]
    if view.smoothing > 0:
        heading.append("smoothed")
        table = [[*line, number(mean, 6)] for line, (_, mean) in zip(table, rows, strict=True)]
    say(columns(heading, table, right=tuple(range(len(heading)))))
