"""Control sequences, and what a terminal says of itself."""

import base64
import os
import pty

import pytest

from simclr_tui.terminal import sequences
from simclr_tui.terminal.sequences import AnswerFilter, BackgroundQuestion


def test_no_name_of_a_run_ends_a_sequence_or_begins_another() -> None:
    name = "evil\x1b]52;c;AAAA\a\n\x9d"
    for sequence in (sequences.title(name), sequences.desktop_notice("simclr-tui", name, in_tmux=False)):
        assert sequence.count("\a") == sequence.count("\x1b]")
        assert "\n" not in sequence
        assert "\x9d" not in sequence
    assert sequences.title(name) == "\x1b]2;evil ]52;c;AAAA   \a"


def test_a_notice_is_told_in_both_ways_that_terminals_know() -> None:
    found = sequences.desktop_notice("simclr-tui", "a; b", in_tmux=False)
    assert found == "\x1b]9;a; b\a\x1b]777;notify;simclr-tui;a, b\a"


def test_tmux_hands_on_what_is_wrapped_for_it() -> None:
    found = sequences.desktop_notice("simclr-tui", "done", in_tmux=True)
    assert found == "\x1bPtmux;\x1b\x1b]9;done\a\x1b\\\x1bPtmux;\x1b\x1b]777;notify;simclr-tui;done\a\x1b\\"


def test_a_copy_is_base64_of_utf_8_and_in_tmux_for_both_of_them() -> None:
    plain = sequences.copy("naïve", in_tmux=False)
    assert plain == f"\x1b]52;c;{base64.b64encode('naïve'.encode()).decode()}\a"
    assert sequences.copy("naïve", in_tmux=True) == plain + sequences.passed_on(plain)


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
    assert sequences.background_of(answer) is is_dark


@pytest.mark.parametrize(
    ("value", "is_dark"), [("15;0", True), ("0;15", False), ("0;default;15", False), ("12;8", True), ("", None)]
)
def test_some_terminals_say_it_in_a_variable(value: str, is_dark: bool | None) -> None:
    assert sequences.colorfgbg_is_dark({"COLORFGBG": value}) is is_dark


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_late_answer_is_no_key_wherever_it_is_cut(cut: int) -> None:
    answer = "\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;22c"
    kept, text = AnswerFilter(), f"a{answer}b"
    if text[:cut].endswith("\x1b") and text[cut] in "][":
        return  # an escape key alone can't be told from the first character of an answer
    assert kept.keep(text[:cut]) + kept.keep(text[cut:]) == "ab"


def test_keys_and_what_textual_asked_for_pass() -> None:
    kept = AnswerFilter()
    for text in ("\x1b", "\x1b[A", "\x1b[?2026;2$y", "rgb:", "\x1b[<0;1;1M", "\x1b[I"):
        assert kept.keep(text) == text


def test_the_terminal_is_asked_and_left_as_it_was() -> None:
    import termios

    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    with BackgroundQuestion({"TERM": "xterm"}, read=theirs, write=theirs) as question:
        assert question.is_open
        assert os.read(ours, 100) == b"\x1b]11;?\a\x1b[c"
        os.write(ours, b"\x1b]11;rgb:ffff/ffff/ffff\a\x1b[?62;c")
        question.take(1.0)
    assert (question.is_dark, question.is_open) == (False, False)
    assert termios.tcgetattr(theirs) == before
    with BackgroundQuestion({"TERM": "xterm"}, read=theirs, write=theirs) as question:
        question.take(0.01)
    assert (question.is_dark, question.is_open) == (None, True)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "COLORFGBG": "0;15"}])
def test_a_terminal_that_can_not_answer_or_has_told_already_is_not_asked(environment: dict[str, str]) -> None:
    with BackgroundQuestion(environment, read=-1, write=-1) as question:
        question.take(0.0)
    assert question.is_dark is (False if "COLORFGBG" in environment else None)
