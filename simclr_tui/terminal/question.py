"""What a terminal is asked as the program starts: its background, whether it draws pictures, and who it is.

The question is sent before the modules of the dashboard are imported and the answer is read after that, which takes
longer than most terminals do. What comes later still is kept apart from what a person types, and so is what a person
typed in the meantime from the answers.
"""

import os
import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from simclr_tui.terminal.sequences import passed_on

_BACKGROUND_QUERY = "\x1b]11;?\a"
_KITTY_QUERY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
"""Whether a picture of one pixel would be taken; nothing is kept of it."""
_NAME_QUERY, _REGISTERS_QUERY, _CELL_QUERY = "\x1b[>q", "\x1b[?1;1;0S", "\x1b[16t"
"""The terminal's name and version (XTVERSION), its colours for Sixel (XTSMGRAPHICS), and the pixels of a cell."""
_WHO_QUERY = "\x1b[c"
"""Every terminal answers this one (DA1), so that its answer tells that none comes to those before."""

_BACKGROUND = re.compile(r"\x1b\]11;rgba?:([0-9a-fA-F]+)/([0-9a-fA-F]+)/([0-9a-fA-F]+)[^\a\x1b]*(?:\a|\x1b\\)")
_KITTY = re.compile(r"\x1b_G[^\x1b]*\x1b\\")
_WHO = re.compile(r"\x1b\[\?[\d;]*c")
ANSWERS = re.compile(
    rf"{_BACKGROUND.pattern}|{_KITTY.pattern}|{_WHO.pattern}|\x1bP>\|[^\x1b]*\x1b\\|\x1b\[\?[\d;]*S|\x1b\[6;\d+;\d+t"
)
"""What may come from a terminal that was asked."""

_UNFINISHED = re.compile(
    r"\x1b(?:\](?:1(?:1(?:;[^\a\x1b]*\x1b?)?)?)?|\[(?:\?[\d;]*|6(?:;\d*){0,2})?|_(?:G[^\x1b]*\x1b?)?|P(?:>(?:\|[^\x1b]*\x1b?)?)?)\Z"
)


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


def query(environment: Mapping[str, str]) -> str:
    """What a terminal is asked in one breath; who does not know a part of it ignores that.

    Apple's terminal and GNU screen show what they don't know, and are asked for nothing of the kind. tmux answers for
    itself, and hands Kitty's question on where it may.
    """
    background = _BACKGROUND_QUERY if colorfgbg_is_dark(environment) is None else ""
    if environment.get("TMUX"):
        pictures = passed_on(_KITTY_QUERY) + _CELL_QUERY
    elif environment.get("TERM_PROGRAM") == "Apple_Terminal" or environment.get("STY"):
        pictures = ""
    else:
        pictures = _KITTY_QUERY + _NAME_QUERY + _REGISTERS_QUERY + _CELL_QUERY
    return background + pictures + _WHO_QUERY


class TerminalQuestion:
    """Asks the terminal as the program starts, and takes the answers when they have been made up.

    As a context manager, so that the terminal echoes nothing in the meantime and is as it was afterwards.
    """

    def __init__(self, environment: Mapping[str, str], read: int = 0, write: int = 1) -> None:
        """Args: the environment and the file descriptors of the terminal."""
        self._environment = environment
        self._read, self._write = read, write
        self._attributes: list[Any] | None = None
        self._asked_at = 0.0
        self.is_dark: bool | None = colorfgbg_is_dark(environment)
        """Whether the background is dark; None where nobody tells."""
        self.is_open = False
        """An answer may still come."""
        self.came = ""
        """What came from the terminal: answers, and what a person typed."""

    def __enter__(self) -> Self:
        if self._environment.get("TERM", "dumb") not in ("dumb", "linux"):
            try:
                import termios
                import tty

                self._attributes = termios.tcgetattr(self._read)
                tty.setcbreak(self._read, termios.TCSANOW)
                os.write(self._write, query(self._environment).encode())
            except (ImportError, OSError, termios.error):  # no terminal, or none of this kind
                return self
            self._asked_at, self.is_open = time.monotonic(), True
        return self

    def take(self, patience: float) -> None:
        """Read what has come; what has not is waited for until so many seconds after the question."""
        import select

        if not self.is_open:
            return
        came, until, is_there = b"", self._asked_at + patience, True
        while is_there and select.select([self._read], [], [], max(0.0, until - time.monotonic()))[0]:
            more = os.read(self._read, 1024)
            came += more
            is_there = bool(more) and not _WHO.search(came.decode("utf-8", "replace"))
        self.came = came.decode("utf-8", "replace")
        # What tmux hands on is answered by the terminal around it, after tmux itself has answered.
        self.is_open = is_there or (bool(self._environment.get("TMUX")) and not _KITTY.search(self.came))
        if self.is_dark is None:
            self.is_dark = background_of(self.came)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._attributes is not None:
            import termios

            termios.tcsetattr(self._read, termios.TCSANOW, self._attributes)


class AnswerFilter:
    """Parts answers from what a person types."""

    def __init__(self) -> None:
        """Nothing is held back yet."""
        self._held = ""
        self.answers = ""
        """Every answer so far."""

    def keep(self, text: str) -> str:
        """What a person typed of it; the beginning of an answer is kept until its end comes."""
        text = self._held + text
        self.answers += "".join(found.group() for found in ANSWERS.finditer(text))
        text = ANSWERS.sub("", text)
        begun = _UNFINISHED.search(text)
        self._held = begun.group() if begun else ""
        return text[: begun.start()] if begun else text
