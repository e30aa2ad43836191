"""How pictures are drawn, by what a terminal says of itself."""

import fcntl
import os
import pty
import struct
import termios
from pathlib import Path

import pytest

from simclr_tui.terminal import graphics as module
from simclr_tui.terminal.graphics import BLOCKS, KITTY, SIXEL, Graphics, graphics, window_cell
from tests.simclr_tui.drawing_terminal import answers

CELL = "\x1b[6;16;8t"
OK = "\x1b_Gi=31;OK\x1b\\"


def named(name: str) -> str:
    """The answer of a terminal that names itself."""
    return f"\x1bP>|{name}\x1b\\"


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("".join(answers("kitty").values()), KITTY),
        ("".join(answers("sixel").values()), SIXEL),
        ("".join(answers("text").values()), BLOCKS),
        ("", BLOCKS),
        (f"{OK}{named('ghostty 1.1.0')}{CELL}\x1b[?62;22c", KITTY),
        (f"{OK}{named('kitty(0.35.2)')}\x1b[?62;c", KITTY),
        (f"{OK}{named('WezTerm 20240203')}{CELL}\x1b[?65;4;6;18;22c", SIXEL),
        (f"{OK}{named('Konsole 230804')}{CELL}\x1b[?62;1;4c", SIXEL),
        (f"{OK}{named('Something')}{CELL}\x1b[?62;c", BLOCKS),
        (f"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\{named('kitty(0.35.2)')}\x1b[?62;c", BLOCKS),
        (f"{CELL}\x1b[?4;6c", BLOCKS),
        (f"{CELL}\x1b[?62;14;44c", BLOCKS),
        ("\x1b[?62;4c", BLOCKS),
    ],
    ids=lambda value: repr(value) if len(value) > 8 else None,
)
def test_a_way_is_taken_only_where_the_terminal_has_said_that_it_can(said: str, way: str) -> None:
    assert graphics(said, {"TERM": "xterm-256color"}, wanted="auto", window=None).way == way


def test_a_terminal_that_does_not_name_itself_is_known_by_what_it_tells_its_programs() -> None:
    for environment, way in (({"TERM": "xterm-kitty"}, KITTY), ({"TERM_PROGRAM": "ghostty"}, KITTY), ({}, BLOCKS)):
        assert graphics(f"{OK}\x1b[?62;c", environment, wanted="auto", window=None).way == way


@pytest.mark.parametrize("wanted", [KITTY, SIXEL, BLOCKS])
def test_what_a_person_wants_comes_before_what_the_terminal_says(wanted: str) -> None:
    for kind in ("kitty", "sixel", "text", "silent"):
        found = graphics("".join(answers(kind).values()), {}, wanted=wanted, window=None)
        assert found.way == wanted
        assert found.cell is not None or wanted != SIXEL


def test_the_terminals_word_on_its_cells_and_colours_counts_and_the_kernels_where_it_is_silent() -> None:
    said = "".join(answers("sixel").values()).replace("1;0;256S", "1;0;16S")
    assert graphics(said, {}, wanted="auto", window=(9, 9)) == Graphics(SIXEL, (8, 16), 16)
    assert graphics("\x1b[?62;4c", {}, wanted="auto", window=(9, 18)) == Graphics(SIXEL, (9, 18), 256)
    assert graphics("\x1b[6;0;0t\x1b[?62;4c", {}, wanted="auto", window=None).way == BLOCKS
    assert graphics("\x1b[?1;0;99999S", {}, wanted=SIXEL, window=None).colours == 256


@pytest.mark.parametrize(
    ("around", "way"), [("kitty(0.35.2) xterm-kitty", KITTY), ("WezTerm xterm-256color", BLOCKS), ("", BLOCKS)]
)
def test_in_tmux_the_terminal_around_it_is_the_one_that_has_to_know(
    around: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmux = tmp_path / "tmux"
    tmux.write_text(f"#!/bin/sh\n[ \"$1\" = display-message ] && echo '{around}'\n")
    tmux.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = graphics(f"\x1b[?1;2c{OK}", {"TMUX": "x", "TERM": "tmux-256color"}, wanted="auto", window=None)
    assert (found.way, found.in_tmux) == (way, True)
    monkeypatch.setenv("PATH", "")
    assert module.tmux_client() == ""


def test_the_kernel_knows_a_cell_where_the_terminal_has_told_it_pixels() -> None:
    ours, theirs = pty.openpty()
    for size, cell in (((24, 80, 800, 480), (10, 20)), ((32, 100, 804, 548), (8, 17)), ((24, 80, 0, 0), None)):
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size))
        assert window_cell(theirs) == cell
    os.close(ours)
    os.close(theirs)
    assert window_cell(-1) is None
