"""The comparison as LaTeX: what TeX would read of it, with names and notes of any kind."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simclr_tui.compare.build import compare
from simclr_tui.compare.latex import escaped, latex
from simclr_tui.compare.table import Comparison
from tests.simclr_tui.compare_runs import epoch_rows, make_side

_MEANT = re.compile(r"\\(?:[&%$#_{}]|[a-zA-Z]+)|[&%$#_{}~^]")
"""What TeX takes for a command or for something else than the sign itself."""


def depth_is_kept(text: str) -> bool:
    """Whether every brace that opens a group is closed, and none is closed before."""
    depth = 0
    for found in _MEANT.findall(text):
        depth += {"{": 1, "}": -1}.get(found, 0)
        if depth < 0:
            return False
    return depth == 0


def cells(row: str) -> list[str]:
    """The cells of a row of the tabular."""
    return [cell.strip() for cell in re.split(r"(?<!\\)&", row.removesuffix(r"\\"))]


@pytest.fixture
def two() -> Comparison:
    return compare(
        [
            make_side("base_1", epochs=epoch_rows(12), loss=0.5, trained_seconds=60.0),
            make_side("50% & more", place=1, epochs=epoch_rows(5), settings={"seed": 1}),
        ]
    )


def test_every_row_has_a_cell_for_each_run_and_every_brace_is_closed(two: Comparison) -> None:
    written = latex(two)
    tabular = written[written.index("\\toprule") : written.index("\\bottomrule")].splitlines()
    rows = [row for row in tabular if row.endswith(r"\\") and not row.startswith(r"\multicolumn")]
    assert {len(cells(row)) for row in rows} == {3}
    assert cells(rows[0]) == ["", r"base\_1", r"50\% \& more"]
    assert len(rows) == 1 + sum(len(group.lines) for group in two.groups)
    assert r"\begin{tabular}{lrr}" in written
    assert depth_is_kept(written.partition("\n")[2])


def test_the_best_is_bold_with_its_epoch_and_others_have_their_difference(two: Comparison) -> None:
    row = next(row for row in latex(two).splitlines() if row.startswith("kNN, last"))
    _, base, other = cells(row)
    assert base == r"\textbf{32.0} {\footnotesize (ep 12)}"
    assert other == r"25.0 {\footnotesize (ep 5) \ensuremath{-}7.0}"


def test_notes_stand_below_under_their_numbers(two: Comparison) -> None:
    written = latex(two)
    assert two.notes
    for number, note in enumerate(two.notes, start=1):
        assert rf"\textsuperscript{{{number}}}~{escaped(note)}" in written
    assert "footnotesize\n" not in latex(compare([make_side("a"), make_side("b")])) or not two.notes


def test_equal_settings_are_a_sentence_or_rows(two: Comparison) -> None:
    assert escaped(two.folded) in latex(two)
    assert "\ntemperature" not in latex(two)
    assert "\ntemperature" in latex(two, unfolded=True)
    assert r"\begin{longtable}" in latex(two, unfolded=True), "that are more rows than a page has"


@given(st.text())
def test_any_text_is_set_as_it_is(text: str) -> None:
    found = escaped(text)
    assert depth_is_kept(found)
    assert not re.search(r"(?<!\\)[&%$#_~^]", found), "each has its backslash or its name"
    assert found.isprintable()
