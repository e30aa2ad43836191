"""Columns, and how the list is sorted, grouped and fitted into a width."""

import itertools
import random

import pytest

from simclr_tui.model import RunRow, table_order
from simclr_tui.run_list.columns import COLUMNS, USUAL_COLUMNS, column, differing_settings, sorted_by
from simclr_tui.run_list.listing import EVERYTHING, Heading, ListView, RunLine, arranged, fitting
from simclr_tui.run_list.query import Asked, parse
from tests.simclr_tui.row_support import NOW, row_of
from trainer.errors import UsageError

ASKED = Asked(NOW)


def names(lines: list[RunLine | Heading]) -> list[str]:
    return [line.row.run.name if isinstance(line, RunLine) else line.words for line in lines]


def some_rows(count: int = 40) -> list[RunRow]:
    rng = random.Random(7)
    return [
        row_of(
            f"run-{number:02}",
            place=number,
            state=rng.choice(["paused", "finished", "running"]),
            loss=rng.choice([None, 0.5, 1.5, 2.5]),
            smoothed=rng.choice([None, rng.random()]),
            knn_top1=rng.choice([None, 0.7, 0.8]),
            health_level=rng.choice([None, "good", "sick", "warning"]),
            tags=rng.choice([(), ("a",), ("a", "b")]),
            batch_size=rng.choice([128, 256, 1024]),
            is_pinned=rng.random() < 0.2,
            created_at=NOW - rng.randrange(10**6),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("name", [*COLUMNS, "setting:batch_size", "lr", "drop_last", "augment"])
def test_sorted_by_any_column_unknown_ones_are_last_and_equal_ones_stay_in_order(
    name: str, is_descending: bool
) -> None:
    rows, by = some_rows(), column(name)
    found = sorted_by(rows, by, NOW, descending=is_descending)
    values = [by.value(row, NOW) for row in found]
    known = [by.key(value) for value in values if value is not None]
    assert values[len(known) :] == [None] * (len(rows) - len(known))
    assert known == sorted(known, reverse=is_descending)
    places = {row.run.id: place for place, row in enumerate(rows)}
    for first, second in itertools.pairwise(found):
        if by.value(first, NOW) == by.value(second, NOW):
            assert places[first.run.id] < places[second.run.id]
    assert all(by.cell(row, NOW) for row in found), "every cell says something"


def test_pinned_runs_come_first_whatever_the_list_is_sorted_by() -> None:
    rows = some_rows()
    for view in (ListView(sort="knn", is_descending=True), ListView(sort="run")):
        pins = [line.row.labels.is_pinned for line in arranged(rows, view, ASKED) if isinstance(line, RunLine)]
        assert pins == sorted(pins, reverse=True)
    assert table_order(rows)[0].labels.is_pinned


def test_states_and_health_have_an_order_of_their_own_and_numbers_are_no_words() -> None:
    rows = [row_of(str(size), batch_size=size) for size in (1024, 128, 256)]
    assert [row.run.name for row in sorted_by(rows, column("batch"), NOW, descending=False)] == ["128", "256", "1024"]
    rows = [row_of(level, health_level=level) for level in ("good", "sick", "warning")]
    found = sorted_by(rows, column("health"), NOW, descending=False)
    assert [row.run.name for row in found] == ["sick", "warning", "good"]


def test_grouped_runs_stand_below_a_heading_that_counts_them_and_names_the_best() -> None:
    rows = [
        row_of("a", batch_size=512, knn_top1=0.7),
        row_of("b", batch_size=128, knn_top1=0.8),
        row_of("c", batch_size=512, knn_top1=0.75),
        row_of("d", batch_size=128),
        row_of("e", config="{}"),
    ]
    found = names(arranged(rows, ListView(group="setting:batch_size"), ASKED))
    first, second, third = (
        "batch-size 128 · 2 runs · best kNN 80.0%",
        "batch-size 512 · 2 runs · best kNN 75.0%",
        "no batch-size · 1 run · best kNN –",
    )
    assert found == [first, "b", "d", second, "a", "c", third, "e"]
    found = names(arranged(rows, ListView(group="setting:batch_size", sort="run", is_descending=True), ASKED))
    assert found == [first, "d", "b", second, "c", "a", third, "e"]


def test_a_fork_is_below_its_parent_only_where_that_one_is_shown_in_the_usual_order() -> None:
    parent = row_of("parent", place=0, is_archived=True)
    rows = table_order([parent, row_of("fork", place=1, parent_run_id="parent")])
    everything = arranged(rows, ListView(filter=parse("is:all")), ASKED)
    assert [(line.row.run.name, line.depth) for line in everything if isinstance(line, RunLine)] == [
        ("parent", 0),
        ("fork", 1),
    ]
    assert arranged(rows, ListView(), ASKED) == [RunLine(rows[1])], "its parent was put away"
    for view in (ListView(filter=parse("is:all"), sort="age"), ListView(filter=parse("is:all"), group="run")):
        assert all(line.depth == 0 for line in arranged(rows, view, ASKED) if isinstance(line, RunLine))


def test_columns_are_left_out_from_the_right_and_never_wider_than_there_is_room() -> None:
    wanted = [column(name) for name in ("state", "done", "knn", "lr", "note", "tags")]
    for width in range(1, 130):
        shown, name_width = fitting(wanted, width, "setting:learning_rate")
        assert [one for one, _ in shown] == wanted[: len(shown)]
        assert name_width + sum(cells + 1 for _, cells in shown) == max(width, 1)
        assert name_width >= min(11, width)
        assert all(cells > len(one.heading) for one, cells in shown if one.id == "setting:learning_rate")
    assert len(fitting(wanted, 130)[0]) == len(wanted)


@pytest.mark.parametrize(
    ("name", "words"),
    [("lerning_rate", "did you mean learning-rate"), ("knm", "did you mean knn"), ("zzzz", "ls --help")],
)
def test_a_column_that_there_is_not_is_answered_with_the_closest(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        column(name)


def test_a_setting_has_one_column_by_whatever_name() -> None:
    ids = {column(name).id for name in ("lr", "learning-rate", "learning_rate", "setting:lr", "setting:learning_rate")}
    assert ids == {"setting:learning_rate"}
    assert column("device").id == "device"
    assert column("setting:device").id == "setting:device"


def test_settings_differ_where_two_runs_that_have_them_do() -> None:
    rows = [row_of("a"), row_of("b", batch_size=128), row_of("c", learning_rate=1.0), row_of("d", config="{}")]
    assert differing_settings(rows) == ["batch_size", "learning_rate"]
    assert differing_settings(rows[:1]) == []


def test_a_view_is_remembered_and_what_this_version_does_not_know_of_it_is_left_out() -> None:
    view = ListView(
        filter=parse("lr>1"), sort="knn", is_descending=True, columns=("state", "setting:batch_size"), group="state"
    )
    again = ListView.from_stored(view.stored())
    assert again.stored() == view.stored()
    for broken in ({}, dict.fromkeys(view.stored(), 7), {"list.columns": ["nothing", 3], "list.sort": ["nothing", 1]}):
        found = ListView.from_stored(broken)
        assert (found.sort, found.group, found.filter) == (None, None, EVERYTHING)
    assert ListView.from_stored({"list.filter": "lr>"}).filter is EVERYTHING
    assert ListView.from_stored({}).columns == USUAL_COLUMNS


def test_a_note_of_several_lines_is_one_line_of_a_cell_and_whole_for_a_filter() -> None:
    row = row_of("a", note="first line\n\n  second\n")
    assert column("note").cell(row, NOW) == "first line second"
    assert column("note").cell(row_of("b"), NOW) == "–"
    assert column("note").value(row, NOW) == "first line\n\n  second\n"


@pytest.mark.parametrize("seconds", [59.0, 3599.0, 45_240.0, 86_399.0, 2_500_000.0])
def test_a_length_of_time_has_room_in_its_column(seconds: float) -> None:
    by = column("trained")
    assert len(by.cell(row_of("a", trained_seconds=seconds), NOW)) <= by.width
