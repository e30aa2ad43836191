"""A comparison as a picture: loss and kNN curves above, settings that differ and results below; SVG or PNG.

matplotlib takes the better part of a second to import, so that the dashboard never does: it saves a picture in a
process of its own.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simclr_tui.charts.drawn import SIGNS, View
from simclr_tui.compare.settings import DIFFERENT
from simclr_tui.compare.side import Side
from simclr_tui.compare.table import Comparison, Group
from simclr_tui.format import UNKNOWN, fit, number
from simclr_tui.objective import loss_chance
from simclr_tui.theme import RUN_COLOURS, run_variables
from trainer.canvas import GREY, check_suffix, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = dict(zip(SIGNS, ("o", "s", "^", "D", "*", "v", "X"), strict=True))
"""What stands for the dashboard's signs of runs."""

_CURVES_INCHES, _ROW_INCHES, _NAME_INCHES, _COLUMN_INCHES = 3.6, 0.2, 2.9, 1.75
_NARROWEST_INCHES = 10.0
_POINTS = 8
_LETTERS = 24
"""Letters of a cell; what is longer is cut."""


def draw(sides: Sequence[Side], comparison: Comparison, path: Path, *, unfolded: bool = False) -> None:
    """Write the picture.

    Args:
        sides: what was read of the runs, in the order of the comparison.
        comparison: their table.
        path: ends in .svg or .png.
        unfolded: also write the settings that are equal.

    Raises:
        UsageError: the path has another suffix.
        OSError: the file can't be written; what was there before is untouched.
    """
    check_suffix(path)
    rows = [*_rows(comparison, comparison.shown(unfolded=unfolded)), *_notes(comparison)]
    table = _ROW_INCHES * (len(rows) + 1)
    width = max(_NARROWEST_INCHES, _NAME_INCHES + _COLUMN_INCHES * len(sides))
    with warnings.catch_warnings(), sheet(path, width_inches=width, height_inches=_CURVES_INCHES + table) as figure:
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in letters that matplotlib's font lacks
        halves = figure.add_gridspec(2, 1, height_ratios=[_CURVES_INCHES, table])
        above, below = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
        loss, knn = above.subplots(1, 2)
        _draw_loss(loss, sides)
        _draw_knn(knn, sides)
        handles, names = loss.get_legend_handles_labels()
        above.legend(handles, names, loc="outside upper left", ncols=min(len(names), max(1, int(width / 2.2))))
        _write_table(below.add_axes((0, 0, 1, 1)), comparison, rows, width)


def _colour(side: Side) -> str:
    return run_variables(dark=False)[f"run-{side.row.look % RUN_COLOURS}"]


def _style(side: Side, count: int) -> dict[str, Any]:
    """How a run's curve is drawn; its marker stands at a few of the points, so that colour alone tells nothing."""
    every = max(1, count // 8)
    return {
        "color": _colour(side),
        "marker": _MARKERS[side.drawn.sign],
        "markevery": (every // 2, every),
        "markersize": 5,
        "linewidth": 1.4,
    }


def _draw_loss(axes: "Axes", sides: Sequence[Side]) -> None:
    """Each run's moving average over epochs, and what a model that knows nothing would have."""
    view = View()
    span = view.smoothing * max((side.epoch_of(side.drawn.curves.last_step) for side in sides), default=0.0)
    for side in sides:
        trunk, rest = side.drawn.smoothed("loss", view, 1.0, span)
        axes.plot([one.x for one in trunk], [one.value for one in trunk], color=_colour(side), linewidth=1, alpha=0.4)
        style = _style(side, len(rest))
        axes.plot([one.x for one in rest], [one.value for one in rest], label=_label(side), **style)
    for chance in sorted({level for side in sides if (level := loss_chance(side.run)) is not None}):
        axes.axhline(chance, color=GREY, linewidth=1, linestyle="--")
        axes.annotate(
            f"chance {number(chance)}",
            (1, chance),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="right",
            fontsize=_POINTS,
            color=GREY,
        )
    axes.set_title("loss, smoothed", loc="left", fontsize=10)
    axes.set_xlabel("epoch")


def _draw_knn(axes: "Axes", sides: Sequence[Side]) -> None:
    """Each run's online kNN score."""
    for side in sides:
        scores = [(epoch, row["knn_top1"]) for epoch, row in sorted(side.epochs.items())]
        known = [(epoch, 100 * top1) for epoch, top1 in scores if top1 is not None]
        axes.plot([epoch for epoch, _ in known], [top1 for _, top1 in known], **_style(side, len(known)))
    axes.set_title("kNN top-1, %", loc="left", fontsize=10)
    axes.set_xlabel("epoch")


def _label(side: Side) -> str:
    # A name that begins with an underscore is left out of legends by matplotlib.
    return f"\u200b{side.run.name}" if side.run.name.startswith("_") else side.run.name


Row = tuple[str, Sequence[str] | None, Sequence[bool]]
"""A row's name, its cells (None of a title, none of a sentence), and which of them are the best."""


def _rows(comparison: Comparison, groups: Sequence[Group]) -> list[Row]:
    """The settings that differ and what came of them; what is known of no run is left out."""
    rows: list[Row] = []
    marks = comparison.marks
    for group in groups:
        lines = [line for line in group.lines if any(cell.text != UNKNOWN for cell in line.cells)]
        rows.append((group.title, None, ()))
        for line in lines:
            name = f"{line.title} {marks.get(line.note, '')}"
            rows.append((name, [cell.words for cell in line.cells], [cell.is_best for cell in line.cells]))
        remarks = [group.remark, comparison.folded if group.title == DIFFERENT else ""]
        rows += [(remark, (), ()) for remark in remarks if remark]
    return rows


def _notes(comparison: Comparison) -> list[Row]:
    """What has to be known about the rows that have a superscript."""
    notes: list[Row] = [(f"{mark} {note}", (), ()) for note, mark in comparison.marks.items()]
    return [("notes", None, ()), *notes] if notes else []


def _write_table(axes: "Axes", comparison: Comparison, rows: Sequence[Row], width: float) -> None:
    """The rows as text at fixed places, which a viewer's own font may widen a little without harm."""
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(len(rows) + 1, 0))
    left, column = 0.15, (width - _NAME_INCHES) / len(comparison.headings)
    colours = run_variables(dark=False)
    for place, one in enumerate(comparison.headings):
        x = _NAME_INCHES + column * place
        name = f"{one.sign} {fit(one.name, _LETTERS).rstrip()}"
        axes.text(x, 0.6, name, fontsize=_POINTS, weight="bold", color=colours[one.ink], va="center")
    for y, (name, cells, best) in enumerate(rows, start=1):
        is_title = cells is None
        axes.text(left, y + 0.6, name, fontsize=_POINTS, va="center", weight="bold" if is_title else "normal")
        if is_title:
            axes.plot([left, width - left], [y + 0.05] * 2, color="#CCCCCC", linewidth=0.8)
        for place, cell in enumerate(cells or ()):
            axes.text(
                _NAME_INCHES + column * place,
                y + 0.6,
                fit(cell, _LETTERS).rstrip(),
                fontsize=_POINTS,
                va="center",
                weight="bold" if best[place] else "normal",
            )
