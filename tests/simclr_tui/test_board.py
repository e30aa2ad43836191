"""The state of the main screen."""

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.board import Board
from simclr_tui.model import RunRow, depths, table_order
from simclr_tui.run_list.listing import ListView
from simclr_tui.run_list.query import parse
from tests.simclr_tui.row_support import row_of
from trainer.state import STATES
from trainer.store.reader import StoreReader
from trainer.store.records import Labels


@pytest.fixture
def rows(runs: Path, some_runs: dict[str, str]) -> list[RunRow]:
    """Oldest first: done, resting, broken, waiting."""
    reader = StoreReader.open(runs)
    states = ("finished", "paused", "failed", "queued")
    found = [RunRow(run, state, n) for n, (run, state) in enumerate(zip(reversed(reader.runs()), states, strict=True))]
    reader.close()
    return found


@pytest.fixture
def board(rows: list[RunRow]) -> Board:
    board = Board()
    board.take_rows(rows)
    return board


def names(board: Board) -> list[str]:
    return [row.run.name for row in board.visible]


def test_live_runs_come_first_and_then_the_newest(board: Board, rows: list[RunRow]) -> None:
    assert names(board) == ["waiting", "broken", "resting", "done"]
    board.take_rows([replace(rows[0], state="running"), *rows[1:]])
    assert names(board) == ["done", "waiting", "broken", "resting"]


def test_the_cursor_starts_at_the_top_and_stays_with_its_run(board: Board, rows: list[RunRow]) -> None:
    assert board.cursor is not None
    assert board.cursor.run.name == "waiting"
    board.move(1)
    board.take_rows([replace(rows[0], state="running"), *rows[1:]])
    assert board.cursor.run.name == "broken"


def test_the_cursor_stops_at_both_ends(board: Board) -> None:
    board.move(99)
    assert board.cursor is not None
    assert board.cursor.run.name == "done"
    board.move(-99)
    assert board.cursor.run.name == "waiting"
    empty = Board()
    empty.move(1)
    empty.toggle_mark()
    assert empty.cursor is None


def test_a_filter_needs_every_word_and_moves_the_cursor_to_a_run_that_is_shown(board: Board) -> None:
    board.set_filter("rest demo")  # "resting" by its name, all of them by their preset
    assert names(board) == ["resting"]
    assert board.cursor is not None
    assert board.cursor.run.name == "resting"
    board.set_filter("failed")
    assert names(board) == ["broken"]
    board.set_filter("no such run")
    assert board.cursor is None
    board.set_filter("")
    assert len(names(board)) == 4


def test_a_cleared_filter_brings_the_cursor_back_unless_it_was_moved(board: Board) -> None:
    board.move(2)
    assert board.cursor is not None
    assert board.cursor.run.name == "resting"
    for text in ("b", "broken", ""):
        board.set_filter(text)
    assert board.cursor.run.name == "resting"
    board.set_filter("demo")
    board.move(1)
    board.set_filter("")
    assert board.cursor.run.name == "done"


def test_the_cursors_run_is_drawn_first_and_marked_ones_after_it_by_age(board: Board) -> None:
    board.move(99)
    board.toggle_mark()
    board.move(-1)
    board.toggle_mark()
    board.move(-99)
    assert [one.row.run.name for one in board.drawn] == ["waiting", "done", "resting"]
    assert len(board.watched(100).run_ids) == 3
    board.move(99)
    board.toggle_mark()
    assert [one.row.run.name for one in board.drawn] == ["done", "resting"]


def test_a_run_that_is_gone_loses_its_mark(board: Board, rows: list[RunRow]) -> None:
    board.move(99)
    board.toggle_mark()
    board.take_rows(rows[1:])
    assert board.marked == set()
    assert board.cursor is not None


def test_the_cursor_goes_at_once_to_a_run_that_the_last_poll_has_brought_before_it_was_asked_for(
    board: Board, rows: list[RunRow]
) -> None:
    """A poll that comes between the making of a run and the word of it; no other may follow for long."""
    board.go_to(rows[0].run.id)
    assert board.cursor is not None
    assert board.cursor.run.name == "done"
    assert board.awaited_id is None


def test_the_cursor_waits_for_a_run_that_was_just_made(board: Board, rows: list[RunRow]) -> None:
    board.awaited_id = "abcdefghij"
    board.take_rows(rows)
    assert board.cursor is not None
    assert board.cursor.run.name == "waiting"
    made = replace(rows[0], run=replace(rows[0].run, id="abcdefghij", name="made"), place=4)
    board.take_rows([*rows, made])
    assert board.cursor.run.name == "made"


@pytest.fixture
def family(rows: list[RunRow]) -> dict[str, RunRow]:
    """The same runs, of which `broken` is a fork of `done`, and `waiting` one of `broken`."""
    done, resting, broken, waiting = rows
    forks = {
        "broken": replace(broken, run=replace(broken.run, parent_run_id=done.run.id, parent_step=115)),
        "waiting": replace(waiting, run=replace(waiting.run, parent_run_id=broken.run.id, parent_step=8)),
    }
    return {"done": done, "resting": resting, **forks}


def test_a_fork_stands_below_its_parent_and_the_family_where_its_first_would(family: dict[str, RunRow]) -> None:
    board = Board()
    board.take_rows(list(family.values()))
    assert names(board) == ["done", "broken", "waiting", "resting"]
    assert depths(board.visible) == [0, 1, 2, 0]
    board.take_rows([replace(row, state="running") if name == "resting" else row for name, row in family.items()])
    assert names(board) == ["resting", "done", "broken", "waiting"]
    board.set_filter("failed")
    assert names(board) == ["broken"]
    assert depths(board.visible) == [0], "without its parent above it is a run like any other"


def test_runs_that_were_made_each_others_parents_by_hand_are_shown(family: dict[str, RunRow]) -> None:
    done = family["done"]
    looped = replace(done, run=replace(done.run, parent_run_id=family["broken"].run.id, parent_step=1))
    board = Board()
    board.take_rows([looped, family["resting"], family["broken"], family["waiting"]])
    assert sorted(names(board)) == ["broken", "done", "resting", "waiting"]
    board.cursor_id = looped.run.id
    assert len(board.drawn[0].trunk) == 8, "and their lineage comes to an end"


def test_what_a_fork_continues_is_read_and_drawn_the_oldest_first(family: dict[str, RunRow]) -> None:
    board = Board()
    board.take_rows(list(family.values()))
    board.cursor_id = family["waiting"].run.id
    trunk = board.drawn[0].trunk
    assert [(one.row.run.name, one.until) for one in trunk] == [("done", 115), ("broken", 8)]
    watched = board.watched(100).run_ids
    assert set(watched) == {family[name].run.id for name in ("waiting", "broken", "done")}


def test_a_thousand_forks_of_forks_are_put_in_order(rows: list[RunRow]) -> None:
    first = rows[0]
    chain = [first]
    for number in range(1, 1000):
        run = replace(first.run, id=f"{number:010}", parent_run_id=chain[-1].run.id, parent_step=1)
        chain.append(RunRow(run, "finished", number))
    assert table_order(chain) == chain
    assert depths(chain) == list(range(1000))


def test_a_filter_that_is_half_typed_leaves_the_list_as_its_other_terms_have_it(board: Board) -> None:
    board.set_filter("state:failed,paused")
    assert names(board) == ["broken", "resting"]
    board.set_filter("state:failed,paused temperature>")
    assert (names(board), board.filter) == (["broken", "resting"], "state:failed,paused")
    assert "needs a number" in board.problem
    board.set_filter("temprature>0.2 state:failed,paused")
    assert names(board) == ["broken", "resting"], "a mistake in the middle leaves the list that there was"
    assert "did you mean temperature?" in board.problem
    board.set_filter("state:failed,paused temperature>0.2")
    assert (names(board), board.problem) == (["resting"], "")


def test_the_cursor_of_a_run_that_was_put_away_goes_to_the_one_in_its_place(board: Board, rows: list[RunRow]) -> None:
    board.move(1)
    board.take_rows([replace(row, labels=Labels(is_archived=row.run.name == "broken")) for row in rows])
    assert names(board) == ["waiting", "resting", "done"]
    assert board.cursor is not None
    assert board.cursor.run.name == "resting"


def test_all_runs_of_the_list_are_marked_and_none_where_all_of_them_are(board: Board) -> None:
    board.set_filter("state:failed,paused")
    assert board.mark_all()
    assert [row.run.name for row in board.marked_rows] == ["broken", "resting"]
    board.set_filter("")
    assert board.mark_all()
    assert len(board.marked) == 4
    assert not board.mark_all()
    assert not board.marked


def test_runs_are_found_by_being_marked_as_soon_as_they_are(board: Board) -> None:
    board.set_filter("is:marked or state:failed")
    assert names(board) == ["broken"]
    board.marked = {board.rows[-1].run.id}
    assert names(board) == ["broken", "done"]


def test_no_more_runs_are_drawn_than_can_be_told_apart(rows: list[RunRow]) -> None:
    board = Board()
    board.take_rows([replace(rows[0], run=replace(rows[0].run, id=f"{n:010}"), place=n) for n in range(30)])
    board.mark_all()
    board.move(99)
    assert [one.row.place for one in board.drawn] == [0, *range(19, 30)]


def test_what_nothing_has_changed_of_is_the_same_list(board: Board, rows: list[RunRow]) -> None:
    lines = board.lines
    board.move(1)
    board.toggle_mark()
    assert board.lines is lines
    board.take_rows(rows)
    assert board.lines is not lines


@pytest.mark.parametrize("view", [ListView(), ListView(sort="smoothed", group="state", filter=parse("lr>0 -is:sick"))])
def test_five_thousand_runs_are_put_in_order_and_walked_through_at_once(view: ListView, rows: list[RunRow]) -> None:
    """What is quadratic takes minutes here."""
    many = [replace(rows[0], run=replace(rows[0].run, id=f"{n:010}"), place=n) for n in range(5000)]
    board = Board(listed=view)
    board.take_rows(many)
    board.mark_all()
    begun = time.thread_time()
    board.take_rows(many)
    for _ in range(100):
        board.move(1)
        assert board.cursor is not None
        assert len(board.drawn) == 12
        board.watched(100)
    assert time.thread_time() - begun < 3.0


def test_a_cursor_whose_run_loses_or_gets_a_mark_that_the_filter_asks_for_goes_to_its_neighbour(board: Board) -> None:
    board.set_filter("-is:marked")
    board.move(1)
    board.toggle_mark()
    assert names(board) == ["waiting", "resting", "done"]
    assert board.cursor is not None
    assert board.cursor.run.name == "resting"
    board.set_filter("is:marked")
    assert board.cursor.run.name == "broken"


def test_a_cursor_whose_run_grows_too_old_for_the_filter_goes_to_its_neighbour(
    rows: list[RunRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    board = Board()
    ages = (100.0, 170.0, 110.0, 105.0)
    board.take_rows(
        [replace(row, run=replace(row.run, created_at=now - age)) for row, age in zip(rows, ages, strict=True)]
    )
    board.set_filter("age<3m")
    board.move(2)
    assert board.cursor is not None
    assert board.cursor.run.name == "resting"
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert names(board) == ["waiting", "broken", "done"]
    assert board.cursor.run.name == "done"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_there_is_a_cursor_as_long_as_a_run_is_shown(seed: int) -> None:
    rng = random.Random(seed)
    every = [
        row_of(f"run {n}", place=n, parent_run_id=rng.choice([None, f"run {rng.randrange(n + 1)}"]), parent_step=1)
        for n in range(12)
    ]
    board = Board()
    for _ in range(300):
        deed = rng.randrange(7)
        if deed == 0:
            board.take_rows([replace(row, state=rng.choice(STATES)) for row in every if rng.random() < 0.8])
        elif deed == 1:
            board.set_filter(rng.choice(["", "is:marked", "-is:marked", "state:running", "run", "age<", "zzz", "1 -2"]))
        elif deed == 2:
            board.look(
                replace(board.listed, sort=rng.choice([None, "run", "linear"]), group=rng.choice([None, "state"]))
            )
        elif deed == 3:
            board.mark_all()
        elif deed == 4:
            board.move(rng.choice([-99, -1, 1, 5]))
        else:
            board.toggle_mark()
        shown = [row.run.id for row in board.visible]
        assert (board.cursor is None) == (not shown)
        assert board.cursor is None or board.cursor.run.id in shown
        assert board.marked <= {row.run.id for row in board.rows}
        assert len(shown) == len(set(shown))
