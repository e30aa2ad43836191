"""The end of a log, followed: bounded, plain, and right whatever happens to the file."""

import os
import time
from pathlib import Path

import pytest

from simclr_tui.run.log_tail import MOST_LINES, LogFollower, LogTail, found, level_of, plain


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


def read(follower: LogFollower) -> LogTail:
    tail = follower.read()
    assert tail is not None
    return tail


def test_lines_come_as_they_are_written_and_nothing_comes_twice(path: Path) -> None:
    follower = LogFollower(path)
    assert read(follower).problem == "there is no log.txt yet; a trainer that is started writes it"
    assert follower.read() is None
    path.write_text("one\ntwo\nthr")
    assert read(follower).lines == ("one", "two", "thr")
    assert follower.read() is None
    with path.open("a") as file:
        file.write("ee\nfour\n")
    tail = read(follower)
    assert tail.lines == ("one", "two", "three", "four")
    assert (tail.ended, tail.is_open, tail.skipped) == (4, False, False)


def test_a_log_that_is_written_in_any_pieces_has_the_lines_of_the_whole(path: Path) -> None:
    data = "".join(f"{number} äöü ✓ \x1b[3{number % 8}mcolour\x1b[0m\n" for number in range(60)).encode()
    follower, tail = LogFollower(path), LogTail()
    for size in range(1, 200, 7):
        path.write_bytes(data[: size * len(data) // 200])
        tail = follower.read() or tail
    path.write_bytes(data)
    tail = follower.read() or tail
    assert tail.lines == tuple(f"{number} äöü ✓ colour" for number in range(60))
    assert not tail.note, "the same file, only longer"


def test_a_file_that_was_cut_short_and_one_that_was_replaced_are_read_anew(path: Path) -> None:
    follower = LogFollower(path)
    path.write_text("old 1\nold 2\nold 3\n")
    read(follower)
    path.write_text("new\n")  # the same inode, shorter
    tail = read(follower)
    assert tail.lines == ("new",)
    assert "cut short" in tail.note
    other = path.with_name("other")
    other.write_text("of another file, and longer than the one before\n")
    other.replace(path)
    tail = read(follower)
    assert tail.lines == ("of another file, and longer than the one before",)
    assert "replaced" in tail.note
    path.unlink()
    assert "there is no log.txt" in read(follower).problem
    path.write_text("again\n")
    assert read(follower).lines == ("again",)


def test_a_folder_in_its_place_is_said_and_not_raised(path: Path) -> None:
    path.mkdir()
    tail = read(LogFollower(path))
    assert "can't be read" in tail.problem
    assert tail.lines == ()


def test_a_hundred_megabytes_are_read_at_once_and_only_their_end(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(5000)))
    begun = time.monotonic()
    tail = read(LogFollower(path))
    assert time.monotonic() - begun < 0.5
    assert tail.lines[-1] == "line 4999"
    assert len(tail.lines) == MOST_LINES
    assert tail.skipped
    assert max(map(len, tail.lines)) < 20


def test_where_reading_begins_in_the_middle_of_a_line_that_line_is_left_out(path: Path) -> None:
    path.write_text("".join(f"begin {number} {'x' * 1500} end\n" for number in range(1500)))
    tail = read(LogFollower(path))
    assert 600 < len(tail.lines) < 700, "a mebibyte of them"
    assert all(line.startswith("begin ") and line.endswith(" end") for line in tail.lines)


def test_only_the_last_lines_are_kept_however_many_came(path: Path) -> None:
    follower = LogFollower(path, most_lines=10)
    path.write_text("".join(f"{number}\n" for number in range(25)))
    tail = read(follower)
    assert tail.lines == tuple(map(str, range(15, 25)))
    assert (tail.ended, tail.skipped) == (25, True)


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        (b"\x1b[1;31mred\x1b[0m and \x1b]8;;https://a.b\x07a link\x1b]8;;\x07", "red and a link"),
        (b" 10 %\r 55 %\r100 %", "100 %"),
        (b"bad \xff\xfe bytes", "bad \ufffd\ufffd bytes"),
        (b"bell\x07 and \x00nul", "bell and nul"),
        (b"a\tb", "a       b"),
        (b"windows\r\n", "windows"),
    ],
)
def test_what_no_terminal_shows_is_left_out(raw: bytes, seen: str) -> None:
    assert plain(raw.decode(errors="replace")) == seen


def test_an_endless_line_is_cut() -> None:
    assert len(plain("x" * 1_000_000)) == 2000


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("17:38:33 run 9d (killed-twice) started", "error"),
        ("17:38:38 loading shapes", "info"),
        ("Traceback (most recent call last):", "error"),
        ("RuntimeError: out of memory", "error"),
        ("17:38:38 warning: the disk is slow", "warning"),
        ("17:39:06 pretraining, step 8 of 48 epoch 1/6 · loss 3.049 · 3 s left", "info"),
        ("17:39:06 run failed: the loss is not finite", "error"),
    ],
)
def test_a_line_is_judged_by_its_words(line: str, level: str) -> None:
    assert level_of(line) == level


def test_a_text_is_found_and_capitals_count_only_where_some_were_typed() -> None:
    lines = ["Loss 1", "loss 2", "else"]
    assert found(lines, "loss") == [0, 1]
    assert found(lines, "Loss") == [0]
    assert found(lines, "") == []
