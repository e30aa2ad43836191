"""The state of the main screen."""

from dataclasses import replace
from pathlib import Path

import pytest

from simclr_tui.board import Board
from simclr_tui.model import RunRow
from trainer.store.reader import StoreReader


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


def test_the_cursor_waits_for_a_run_that_was_just_made(board: Board, rows: list[RunRow]) -> None:
    board.awaited_id = "abcdefghij"
    board.take_rows(rows)
    assert board.cursor is not None
    assert board.cursor.run.name == "waiting"
    made = replace(rows[0], run=replace(rows[0].run, id="abcdefghij", name="made"), place=4)
    board.take_rows([*rows, made])
    assert board.cursor.run.name == "made"
