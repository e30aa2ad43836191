"""What is said to a terminal beside the screen's text, and what it says of itself. Pure but for `ask_background`.

Sequences: xterm's control sequences (invisible-island.net/xterm/ctlseqs), OSC 9 (iTerm2) and OSC 777 (rxvt) for notices
on the desktop, tmux's passthrough (its manual, allow-passthrough).
"""

import base64
import os
import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

BELL = "\a"
_ESC = "\x1b"
_END = f"{_ESC}\\"

PUSH_TITLE, POP_TITLE = f"{_ESC}[22;2t", f"{_ESC}[23;2t"
"""The terminal keeps its title, and takes it back."""

_LONGEST = 200
"""Characters of a title or a notice; a terminal may cut them, and a name can be anything."""

_BACKGROUND_QUERY = f"{_ESC}]11;?{BELL}"
_WHO_QUERY = f"{_ESC}[c"
"""Every terminal answers this one, so that its answer tells that none comes to the one before."""

_BACKGROUND = re.compile(r"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)[^\a\x1b]*(?:\a|\x1b\\)")
_WHO = re.compile(r"\x1b\[\?[\d;]*c")
ANSWERS = re.compile(rf"{_BACKGROUND.pattern}|{_WHO.pattern}")
"""What may come from a terminal that was asked."""


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


def is_dark(red: str, green: str, blue: str) -> bool:
    """Whether a colour is nearer to black than to white, from hexadecimal parts of any length (luma of Rec. 709)."""
    parts = [int(part, 16) / float(16 ** len(part) - 1) for part in (red, green, blue)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] < 0.5


def background_of(answer: str) -> bool | None:
    """Whether the background is dark by a terminal's answer; None where it does not tell."""
    found = _BACKGROUND.search(answer)
    return is_dark(*found.groups()) if found else None


def colorfgbg_is_dark(environment: Mapping[str, str]) -> bool | None:
    """The same by the variable that some terminals set (rxvt's COLORFGBG: 15;0, or 0;default;15)."""
    number = environment.get("COLORFGBG", "").rpartition(";")[2]
    return int(number) in (0, 1, 2, 3, 4, 5, 6, 8) if number.isdecimal() else None


class BackgroundQuestion:
    """Asks the terminal for its background as the program starts, and takes the answer when it has been made up.

    In between modules are imported, which takes longer than a terminal's answer. As a context manager, so that the
    terminal echoes nothing in the meantime and is as it was afterwards.
    """

    def __init__(self, environment: Mapping[str, str], read: int = 0, write: int = 1) -> None:
        """Args: the environment and the file descriptors of the terminal."""
        self._environment = environment
        self._read, self._write = read, write
        self._attributes: list[Any] | None = None
        self._asked_at = 0.0
        self.is_dark: bool | None = colorfgbg_is_dark(environment)
        """What is known; None where nobody tells."""
        self.is_open = False
        """The answer may still come."""

    def __enter__(self) -> Self:
        if self.is_dark is None and "TERM" in self._environment and self._environment["TERM"] not in ("dumb", "linux"):
            try:
                import termios
                import tty

                self._attributes = termios.tcgetattr(self._read)
                tty.setcbreak(self._read, termios.TCSANOW)
                os.write(self._write, (_BACKGROUND_QUERY + _WHO_QUERY).encode())
            except (ImportError, OSError, termios.error):  # no terminal, or none of this kind
                return self
            self._asked_at, self.is_open = time.monotonic(), True
        return self

    def take(self, patience: float) -> None:
        """Read what has come; what has not is waited for until so many seconds after the question."""
        import select

        if not self.is_open:
            return
        answer, until = "", self._asked_at + patience
        while self.is_open and select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
            more = os.read(self._read, 1024)
            answer += more.decode("utf-8", "replace")
            self.is_open = bool(more) and not _WHO.search(answer)
        self.is_dark = background_of(answer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._attributes is not None:
            import termios

            termios.tcsetattr(self._read, termios.TCSANOW, self._attributes)


_UNFINISHED = re.compile(r"\x1b(?:\](?:1(?:1(?:;[^\a\x1b]*\x1b?)?)?)?|\[(?:\?[\d;]*)?)\Z")


class AnswerFilter:
    """Leaves answers that came too late out of what a person types."""

    def __init__(self) -> None:
        """Nothing is held back yet."""
        self._held = ""

    def keep(self, text: str) -> str:
        """What a person typed of it; the beginning of an answer is kept until its end comes."""
        text = ANSWERS.sub("", self._held + text)
        begun = _UNFINISHED.search(text)
        self._held = begun.group() if begun else ""
        return text[: begun.start()] if begun else text
