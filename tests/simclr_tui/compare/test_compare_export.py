"""The table at every width, and as Markdown, CSV and JSON, read back."""

import csv
import io
import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from simclr_tui.compare.build import compare
from simclr_tui.compare.export import as_csv, as_json, markdown, text
from simclr_tui.compare.layout import Layout, plain
from simclr_tui.compare.saving import problem_of, proposed_name
from simclr_tui.compare.table import Comparison
from tests.simclr_tui.compare_runs import epoch_rows, make_side, score


@pytest.fixture
def three() -> Comparison:
    """Three runs that differ in settings, length and score."""
    scored = [score("h", "linear", 0.7, epoch=5), score("h", "knn", 0.65, epoch=5)]
    return compare(
        [
            make_side("base", epochs=epoch_rows(12), evaluations=scored, loss=0.5, trained_seconds=60.0),
            make_side("a|b_c", place=1, epochs=epoch_rows(5), evaluations=scored, settings={"seed": 1}),
            make_side("wide", place=2, settings={"seed": 2, "num_workers": 6, "data_dir": "/a/very/long/path" * 9}),
        ]
    )


def many(count: int) -> Comparison:
    return compare(
        [make_side(f"run-number-{n}", place=n, settings={"seed": n}, epochs=epoch_rows(3 + n)) for n in range(count)]
    )


@pytest.mark.parametrize("width", [40, 60, 76, 116, 196, 300])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_no_row_is_wider_than_the_screen_and_all_are_aligned(width: int, count: int) -> None:
    for unfolded in (False, True):
        layout = Layout(comparison=many(count), width=width, unfolded=unfolded, cursor=0)
        rows = [plain(row) for row in (layout.heading(), *layout.body())]
        assert max(map(cell_len, rows)) <= width
        assert 0 in layout.visible
        shown = {
            place for at in range(count) for place in Layout(comparison=many(count), width=width, cursor=at).visible
        }
        assert shown == set(range(count)), "every run can be brought to the screen"


def test_the_highlighted_run_is_among_those_that_are_shown_and_the_first_always_is() -> None:
    for cursor in range(12):
        layout = Layout(comparison=many(12), width=76, cursor=cursor)
        assert {0, cursor} <= set(layout.visible)
        heading = plain(layout.heading())
        assert f"▸{layout.comparison.headings[cursor].sign}" in heading
    assert Layout(comparison=many(12), width=76, cursor=11).place.endswith("of 12")
    assert not Layout(comparison=many(2), width=116).place


def test_figures_of_a_column_end_at_the_same_place_with_or_without_a_sign() -> None:
    rows = [plain(row) for row in Layout(comparison=many(2), width=100).body()]
    best, last = (next(row for row in rows if row.startswith(f"contrastive, {which}")) for which in ("last", "chance"))
    assert best.index("50.0") + 4 == last.index("0.79") + 4
    knn = next(row for row in rows if row.startswith("kNN, last"))
    assert "24.0@4 ★ +1.0" in knn


def test_a_long_name_of_a_row_keeps_its_end_and_its_note() -> None:
    scored = [score("untrained", "linear-folds", 0.5, labels_per_class=500)]
    sides = [
        make_side("a", evaluations=scored),
        make_side("b", evaluations=[score("untrained", "linear-folds", 0.6, labels_per_class=500, images=7)]),
    ]
    rows = [plain(row) for row in Layout(comparison=compare(sides), width=56).body()]
    found = next(row for row in rows if row.startswith("untrained"))
    assert "folds, 500 ¹" in found


def test_settings_are_folded_into_a_count_and_unfolded(three: Comparison) -> None:
    folded = text(three, 120)
    assert f"\n{three.folded}\n" in folded
    assert "temperature" not in folded
    whole = text(three, 120, unfolded=True)
    assert "temperature" in whole
    assert "equal settings" in whole
    assert three.folded not in whole


def test_on_a_narrow_terminal_the_other_runs_follow_below_beside_the_first_one() -> None:
    written = text(many(5), 70)
    blocks = written.split("settings that differ")
    assert len(blocks) > 2
    assert all("run-num" in block.rstrip().splitlines()[-1] for block in blocks[:-1])
    assert all(f"{sign} run" in written for sign in "●■▲◆★")
    assert text(many(5)).count("settings that differ") == 1, "into a pipe goes one table"


def cells(row: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in row.replace("\\|", "\0").strip("|").split("|")]


def test_every_row_of_a_markdown_table_has_as_many_columns_as_its_heading(three: Comparison) -> None:
    written = markdown(three)
    tables = [part for part in written.split("\n\n") if part.startswith("|")]
    assert len(tables) == sum(bool(group.lines) for group in three.groups)
    for table in tables:
        rows = table.splitlines()
        assert {len(cells(row)) for row in rows} == {4}
        assert len({cell_len(row) for row in rows}) == 1, "it reads well as it is"
    assert "■ a\\|b_c" in written
    assert "| kNN, last, % (" in written
    assert "32.0 (ep 12) ★" in written
    assert f"\n{three.folded}." in written
    assert written.rstrip().splitlines()[-1].startswith(f"{len(three.notes)}. ")


def test_csv_holds_plain_numbers_that_are_read_back(three: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(three))))
    assert list(rows[0]) == ["group", "row", "unit", "base", "a|b_c", "wide", "best", "note"]
    by_name = {(row["group"], row["row"]): row for row in rows}
    knn = by_name["results", "kNN, last"]
    assert (knn["unit"], knn["base"], knn["a|b_c"], knn["wide"], knn["best"]) == ("%", "32.0", "25.0", "", "base")
    assert by_name["results", "kNN, last: epoch"]["base"] == "12"
    assert by_name["results", "loss, last step"]["base"] == "0.5"
    assert by_name["settings that differ", "seed"]["wide"] == "2"
    assert float(by_name["cost", "time trained"]["base"]) == 60
    assert len(list(csv.reader(io.StringIO(as_csv(three, unfolded=True))))) > len(rows) + 60


def test_json_holds_everything_with_ids_and_differences(three: Comparison) -> None:
    found = json.loads(as_json(three))
    assert [run["name"] for run in found["runs"]] == ["base", "a|b_c", "wide"]
    assert found["reference"] == "id-base"
    groups = {group["title"]: {row["name"]: row for row in group["rows"]} for group in found["groups"]}
    knn = groups["results"]["kNN, last"]["cells"]
    assert knn["id-a|b_c"] == {"value": 25.0, "text": "25.0", "epoch": 5, "is_best": False, "difference": -7.0}
    assert groups["results"]["kNN, last"]["better"] == "higher"
    assert groups["equal settings"]["temperature"]["cells"]["id-wide"]["value"] == 0.07
    assert groups["settings that differ"]["num-workers"]["unit"] == "processes"


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("base", "wide"), "comparison-base-wide.md"),
        (("a/b c", "ü"), "comparison-a-b-c-ü.md"),
        (tuple(f"a-rather-long-name-{n}" for n in range(6)), "comparison-a-rather-long-name-0-and-5-more.md"),
    ],
)
def test_a_files_name_says_what_is_compared(names: tuple[str, ...], proposed: str) -> None:
    assert proposed_name(compare([make_side(name) for name in names])) == proposed


def test_a_files_name_is_judged_before_anything_is_written(tmp_path: object) -> None:
    for name in ("x.md", "x.CSV", "x.svg", "x.png", "x.json", "x.tex"):
        assert not problem_of(f"{tmp_path}/{name}")
    assert (
        problem_of(f"{tmp_path}/x.doc") == "its ending says what is written: give .md, .csv, .tex, .json, .svg or .png"
    )
    assert problem_of(" ").startswith("its ending")
    assert problem_of(f"{tmp_path}/none/x.md").startswith(f"there is no folder {tmp_path}/none")


def test_names_of_runs_are_no_markdown_anywhere() -> None:
    written = markdown(compare([make_side("*a*", epochs=epoch_rows(2)), make_side("`b`")]))
    assert written.startswith("# \\*a\\* · \\`b\\`\n")
    assert "there is none yet: \\`b\\` has closed no epoch" in written


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x.md", f"{'x' * 300}.md", f"{'x' * 300}/x.md"])
def test_whatever_is_typed_as_a_files_name_is_judged(name: str) -> None:
    assert problem_of(name)


def test_a_proposed_name_is_one_that_a_file_can_have(tmp_path: Path) -> None:
    name = proposed_name(compare([make_side("𝒶" * 60), make_side("𝒷" * 60)]))
    assert name.startswith("comparison-𝒶𝒶𝒶")
    assert name.endswith(".md")
    (tmp_path / name).touch()
