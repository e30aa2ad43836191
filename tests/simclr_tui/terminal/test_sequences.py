"""Control sequences."""

import base64

from simclr_tui.terminal import sequences


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
