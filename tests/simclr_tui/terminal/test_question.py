"""What a terminal is asked and says of itself, and what a person types meanwhile."""

import os
import pty
import termios
from collections.abc import Iterator

import pytest

from simclr_tui.terminal import question
from simclr_tui.terminal.question import AnswerFilter, TerminalQuestion

LIGHT = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\"
KITTY = "\x1b_Gi=31;OK\x1b\\"
ANSWERS = (LIGHT, KITTY, "\x1bP>|kitty(0.35.2)\x1b\\", "\x1b[?1;0;256S", "\x1b[6;18;9t", "\x1b[?62;4;22c")
EVERY = "".join(ANSWERS)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours, and the one that a program reads."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("answer", "is_dark"),
    [
        ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\", False),
        ("\x1b]11;rgb:0000/0000/0000\a\x1b[?62;c", True),
        ("\x1b]11;rgb:fd/f6/e3\a", False),
        ("\x1b]11;rgba:1e1e/1e1e/1e1e/ffff\x1b\\", True),
        ("\x1b[?62;c", None),
        ("", None),
    ],
)
def test_a_background_is_dark_or_light_or_not_known(answer: str, is_dark: bool | None) -> None:
    assert question.background_of(answer) is is_dark


@pytest.mark.parametrize(
    ("value", "is_dark"), [("15;0", True), ("0;15", False), ("0;default;15", False), ("12;8", True), ("", None)]
)
def test_some_terminals_say_it_in_a_variable(value: str, is_dark: bool | None) -> None:
    assert question.colorfgbg_is_dark({"COLORFGBG": value}) is is_dark


@pytest.mark.parametrize("cut", range(1, len(EVERY) + 2))
def test_a_late_answer_is_no_key_wherever_it_is_cut(cut: int) -> None:
    kept, text = AnswerFilter(), f"a{EVERY}b"
    if text[:cut].endswith("\x1b") and text[cut] in "][_P":
        return  # an escape key alone can't be told from the first character of an answer
    assert kept.keep(text[:cut]) + kept.keep(text[cut:]) == "ab"
    assert kept.answers == EVERY


def test_keys_and_what_textual_asked_for_pass() -> None:
    kept = AnswerFilter()
    for text in ("\x1b", "\x1b[A", "\x1b[?2026;2$y", "rgb:", "\x1b[<0;1;1M", "\x1b[I", "\x1b[6~", "\x1b[112;5u"):
        assert kept.keep(text) == text


def test_the_terminal_is_asked_and_left_as_it_was(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    with TerminalQuestion({"TERM": "xterm"}, read=theirs, write=theirs) as asked:
        assert asked.is_open
        sent = os.read(ours, 1000).decode()
        assert (sent.startswith("\x1b]11;?\a"), sent.endswith("\x1b[c")) == (True, True)
        os.write(ours, f"{LIGHT}\x1b[?62;c".encode())
        asked.take(1.0)
    assert (asked.is_dark, asked.is_open) == (False, False)
    assert termios.tcgetattr(theirs) == before
    with TerminalQuestion({"TERM": "xterm"}, read=theirs, write=theirs) as asked:
        asked.take(0.01)
    assert (asked.is_dark, asked.is_open) == (None, True)


def test_what_is_typed_meanwhile_is_kept_and_an_answer_that_is_cut_by_the_bound_goes_on(
    terminal: tuple[int, int],
) -> None:
    ours, theirs = terminal
    with TerminalQuestion({"TERM": "xterm"}, read=theirs, write=theirs) as asked:
        os.write(ours, f"x{LIGHT}y\x1b[6;18".encode())
        asked.take(0.05)
    assert (asked.is_dark, asked.is_open) == (False, True)
    kept = AnswerFilter()
    assert kept.keep(asked.came) + kept.keep(";9tz") == "xyz"
    assert kept.answers == LIGHT + "\x1b[6;18;9t"


def test_in_tmux_the_terminal_around_it_may_answer_after_tmux(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    for answers, is_open in (("\x1b[?1;2c", True), (f"{KITTY}\x1b[?1;2c", False)):
        with TerminalQuestion({"TERM": "tmux-256color", "TMUX": "x"}, read=theirs, write=theirs) as asked:
            assert b"\x1bPtmux;\x1b\x1b_Gi=31" in os.read(ours, 1000)
            os.write(ours, answers.encode())
            asked.take(1.0)
        assert asked.is_open is is_open


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "linux"}, {}])
def test_a_terminal_that_can_not_answer_is_not_asked(environment: dict[str, str]) -> None:
    with TerminalQuestion(environment, read=-1, write=-1) as asked:
        asked.take(0.0)
    assert (asked.is_dark, asked.is_open, asked.came) == (None, False, "")


def test_what_is_known_is_not_asked_and_what_would_be_shown_neither() -> None:
    assert "]11;" not in question.query({"COLORFGBG": "0;15"})
    for environment in ({"TERM_PROGRAM": "Apple_Terminal"}, {"STY": "12.pts-0"}):
        assert question.query(environment) == "\x1b]11;?\a\x1b[c"
