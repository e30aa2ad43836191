"""What is said to a terminal beside the screen's text. Pure.

Sequences: xterm's control sequences (invisible-island.net/xterm/ctlseqs), OSC 9 (iTerm2) and OSC 777 (rxvt) for notices
on the desktop, tmux's passthrough (its manual, allow-passthrough).
"""

import base64

BELL = "\a"
_ESC = "\x1b"
_END = f"{_ESC}\\"

PUSH_TITLE, POP_TITLE = f"{_ESC}[22;2t", f"{_ESC}[23;2t"
"""The terminal keeps its title, and takes it back."""

_LONGEST = 200
"""Characters of a title or a notice; a terminal may cut them, and a name can be anything."""


def title(text: str) -> str:
    """The title of the window."""
    return f"{_ESC}]2;{plain(text)}{BELL}"


def desktop_notice(heading: str, text: str, *, in_tmux: bool) -> str:
    """A notice on the desktop, in the two ways that terminals know; one that knows neither ignores it."""
    both = (f"{_ESC}]9;{plain(text)}{BELL}", f"{_ESC}]777;notify;{_field(heading)};{_field(text)}{BELL}")
    return "".join(passed_on(one) if in_tmux else one for one in both)


def copy(text: str, *, in_tmux: bool) -> str:
    """Text for the clipboard; tmux takes it itself where set-clipboard is on, and hands it on where it may."""
    one = f"{_ESC}]52;c;{base64.b64encode(text.encode()).decode()}{BELL}"
    return one + passed_on(one) if in_tmux else one


def passed_on(sequence: str) -> str:
    """A sequence that tmux hands to the terminal around it."""
    return f"{_ESC}Ptmux;{sequence.replace(_ESC, _ESC + _ESC)}{_END}"


def plain(text: str) -> str:
    """Text in which nothing can end a sequence or begin another one."""
    return "".join(character if character.isprintable() else " " for character in text)[:_LONGEST]


def _field(text: str) -> str:
    """Text in a list whose parts a semicolon separates."""
    return plain(text).replace(";", ",")
