"""A comparison as a LaTeX table for a paper: rules of booktabs, the best of a row in bold. Pure."""

from collections.abc import Sequence

from simclr_tui.compare.settings import DIFFERENT
from simclr_tui.compare.table import Cell, Comparison, Group, Line

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": r"\ensuremath{-}",
    "+": r"\ensuremath{+}",
    "±": r"\ensuremath{\pm}",
    "×": r"\ensuremath{\times}",
    "·": r"\ensuremath{\cdot}",
    "→": r"\ensuremath{\to}",
    "≤": r"\ensuremath{\le}",
    "≥": r"\ensuremath{\ge}",
    "μ": r"\ensuremath{\mu}",
    "–": "--",
    "…": r"\ldots{}",
}
"""What LaTeX takes for something else, or its usual fonts don't have."""

_PACKAGES = {"tabular": "booktabs", "longtable": "booktabs, longtable"}


def latex(comparison: Comparison, *, unfolded: bool = False) -> str:
    """One table with the groups below each other, and the notes under it; with all settings one that breaks over pages.

    Bold stands where ★ does elsewhere; what the run's sign tells apart is told by its name.
    """
    marks = {note: number for number, note in enumerate(comparison.notes, start=1)}
    columns = len(comparison.headings)
    rows = [_row(["", *(one.name for one in comparison.headings)])]
    for group in comparison.shown(unfolded=unfolded):
        rows += [r"\midrule", *_group(comparison, group, marks, columns + 1, unfolded=unfolded)]
    body = "\n".join(rows)
    kind = "longtable" if unfolded else "tabular"
    table = (
        f"% needs \\usepackage{{{_PACKAGES[kind]}}}\n\\begin{{{kind}}}{{l{'r' * columns}}}\n"
        f"\\toprule\n{body}\n\\bottomrule\n\\end{{{kind}}}\n"
    )
    notes = [f"\\par\\noindent\\textsuperscript{{{number}}}~{escaped(note)}" for note, number in marks.items()]
    return table + ("{\\footnotesize\n" + "\n".join(notes) + "\\par}\n" if notes else "")


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is; a line break or another control character is a blank."""
    return "".join(_SPECIAL.get(letter, letter if letter.isprintable() else " ") for letter in text)


def _group(
    comparison: Comparison, group: Group, marks: dict[str, int], columns: int, *, unfolded: bool
) -> Sequence[str]:
    said = [rf"\emph{{{escaped(group.title)}}}"]
    said += [escaped(group.remark)] if group.remark else []
    said += [f"{escaped(comparison.folded)}."] if group.title == DIFFERENT and not unfolded else []
    return [
        *(rf"\multicolumn{{{columns}}}{{l}}{{{sentence}}} \\" for sentence in said),
        *(_line(line, marks) for line in group.lines),
    ]


def _line(line: Line, marks: dict[str, int]) -> str:
    mark = rf"\textsuperscript{{{marks[line.note]}}}" if line.note in marks else ""
    return " & ".join([escaped(line.title) + mark, *map(_cell, line.cells)]) + r" \\"


def _cell(cell: Cell) -> str:
    figure = rf"\textbf{{{escaped(cell.text)}}}" if cell.is_best else escaped(cell.text)
    beside = [f"(ep {cell.epoch})"] if cell.epoch is not None else []
    beside += [cell.delta] if cell.delta else []
    return f"{figure} {{\\footnotesize {escaped(' '.join(beside))}}}" if beside else figure


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
