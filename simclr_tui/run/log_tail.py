"""The end of a run's log, followed as it grows: bounded however large the file is, and with no control characters."""

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_LINES = 2000
"""So many of the last lines are kept."""
_MOST_BYTES = 1 << 20
"""Read at once at most; what a file has grown by beyond that is skipped, since newer lines would push it out."""
_LONGEST_LINE = 2000

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"
)
"""Escape sequences (ECMA-48, 5.4 and 5.6)."""
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

_ERROR = re.compile(
    r"^\s*Traceback |^\s*[\w.]*(Error|Exception|Interrupt)\b|\b(error|failed|fatal|killed|hung)\b|✗", re.IGNORECASE
)
_WARNING = re.compile(r"\bwarn(ing|ings)?\b|\bnot promised\b|\bcan't be\b|\bdamaged\b|▲", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LogTail:
    """The last lines of a log as it was read."""

    lines: tuple[str, ...] = ()
    """The oldest first, without the end of a line."""
    skipped: bool = False
    """Whether there is more before them."""
    size: int = 0
    """Bytes of the file."""
    note: str = ""
    """What happened to the file while it was followed, in a sentence."""
    problem: str = ""
    """Why there are no lines, in a sentence."""
    ended: int = 0
    """Lines that have ended since the file was first read, also those that are not kept any more."""
    is_open: bool = False
    """Whether the last line has not ended yet."""

    @property
    def ended_lines(self) -> tuple[str, ...]:
        """Those of the lines that have ended."""
        return self.lines[:-1] if self.is_open else self.lines


def plain(line: str) -> str:
    """A line as it would be seen: no escape sequences, what a carriage return has overwritten left out."""
    text = _ESCAPES.sub("", line.rstrip("\r\n"))
    text = text.rpartition("\r")[2]
    text = _CONTROLS.sub("", text.expandtabs(8))
    return text if len(text) <= _LONGEST_LINE else text[: _LONGEST_LINE - 1] + "…"


def level_of(line: str) -> str:
    """What a line of a log is judged as, from its words: error, warning or info."""
    if _ERROR.search(line):
        return "error"
    return "warning" if _WARNING.search(line) else "info"


def found(lines: Sequence[str], text: str) -> list[int]:
    """The numbers of the lines that hold a text; capitals matter where the text has some."""
    if not text:
        return []
    if text != text.lower():
        return [number for number, line in enumerate(lines) if text in line]
    return [number for number, line in enumerate(lines) if text in line.lower()]


class LogFollower:
    """Reads what a log has grown by; a file that was cut short or replaced is read anew."""

    def __init__(self, path: Path, most_lines: int = MOST_LINES) -> None:
        """Args: the file, which need not be there yet, and how many of its last lines are kept."""
        self._path = path
        self._lines: deque[str] = deque(maxlen=most_lines)
        self._rest = b""
        """The beginning of a line that has not ended."""
        self._at = 0
        self._identity: tuple[int, int] | None = None
        self._ended = 0
        self._skipped = False
        self._note = ""
        self._last: LogTail | None = None

    def read(self) -> LogTail | None:
        """The last lines, if they are other ones than the last time."""
        try:
            tail = self._read()
        except FileNotFoundError:
            self._forget()
            tail = LogTail(problem=f"there is no {self._path.name} yet; a trainer that is started writes it")
        except OSError as error:
            self._forget()
            tail = LogTail(problem=f"{self._path} can't be read ({error.strerror}); see who owns it")
        if tail == self._last:
            return None
        self._last = tail
        return tail

    def _read(self) -> LogTail:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._recognise((status.st_dev, status.st_ino), status.st_size)
            if status.st_size - self._at > _MOST_BYTES:
                self._at, self._rest, self._skipped = status.st_size - _MOST_BYTES, b"", True
                self._lines.clear()
                file.seek(self._at)
                self._at += len(file.readline(_MOST_BYTES))  # the end of a line that began before
            file.seek(self._at)
            fresh = file.read(_MOST_BYTES)
        self._at += len(fresh)
        self._take(fresh)
        unended = [plain(self._rest.decode(errors="replace"))] if self._rest else []
        lines = (*self._lines, *unended)
        kept = lines[-(self._lines.maxlen or 0) :]
        return LogTail(kept, self._skipped, status.st_size, self._note, ended=self._ended, is_open=bool(unended))

    def _recognise(self, identity: tuple[int, int], size: int) -> None:
        """Begin anew where it is another file, or a shorter one, than the one that was read."""
        if self._identity is not None and identity != self._identity:
            self._forget()
            self._note = "the file was replaced; this is the new one"
        elif size < self._at:
            self._forget()
            self._note = "the file was cut short; this is what it holds now"
        self._identity = identity

    def _take(self, fresh: bytes) -> None:
        *ended, self._rest = (self._rest + fresh).split(b"\n")
        self._ended += len(ended)
        room = self._lines.maxlen or 0
        if len(self._lines) + len(ended) > room:
            self._skipped = True
        self._lines.extend(plain(line.decode(errors="replace")) for line in ended[-room:])

    def _forget(self) -> None:
        self._lines.clear()
        self._rest, self._at, self._ended = b"", 0, 0
        self._skipped, self._identity, self._note = False, None, ""
