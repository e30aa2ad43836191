"""The real program in a pseudo-terminal whose every byte is kept."""

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from rich.cells import cell_len

SGR = re.compile(rb"\x1b\[([\d;]*)m")

_ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
_LEFT_OUT = ("NO_COLOR", "TMUX", "COLORFGBG", "TEXTUAL_THEME", "SSH_CONNECTION")


class Picture:
    """What a terminal shows of what was written to it; it knows moves of the cursor and text, and no more is needed."""

    _PIECE = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[[\d;?<>=$]*[a-zA-Z]|\x1b\][^\a\x1b]*(?:\a|\x1b\\\\)|(.)", re.DOTALL)

    def __init__(self, width: int, height: int) -> None:
        """An empty one."""
        self.cells = [[" "] * width for _ in range(height)]

    def write(self, written: bytes) -> None:
        """Do what was written."""
        x = y = 0
        for row, column, character in self._PIECE.findall(written.decode("utf-8", "ignore")):
            if row:
                y, x = int(row) - 1, int(column) - 1
            elif character and character.isprintable() and y < len(self.cells):
                for cell in (character, "")[: cell_len(character)]:
                    if x < len(self.cells[y]):
                        self.cells[y][x] = cell
                    x += 1

    @property
    def lines(self) -> list[str]:
        """What a person sees."""
        return ["".join(line) for line in self.cells]


class Terminal:
    """A program's terminal: what it wrote, keys for it, and its size."""

    def __init__(
        self, runs: Path, *, size: tuple[int, int] = (120, 36), words: tuple[str, ...] = (), **environment: str | None
    ) -> None:
        """Starts `simclr-tui` on a runs folder; a variable that is None is taken out of the environment."""
        wanted = {**os.environ, **_ENVIRONMENT}
        for name in _LEFT_OUT:
            wanted.pop(name, None)
        wanted["XDG_CONFIG_HOME"] = str(runs.parent / "config")
        wanted["XDG_STATE_HOME"] = str(runs.parent / "state")
        for name, value in environment.items():
            wanted.pop(name, None)
            if value is not None:
                wanted[name] = value
        self.output = b""
        self._start(runs, size, words, wanted)

    def _start(self, runs: Path, size: tuple[int, int], words: tuple[str, ...], wanted: Mapping[str, str]) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            command = self._program(runs, words)
            os.execve(command[0], command, dict(wanted))
        self.exit_code: int | None = None

    def _program(self, runs: Path, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs), *words]

    def read(self, seconds: float, *, at_most: int = 1 << 20) -> bytes:
        """What it writes in a while."""
        until, begun = time.monotonic() + seconds, len(self.output)
        while (left := until - time.monotonic()) > 0 and len(self.output) - begun < at_most:
            if not select.select([self._terminal], [], [], left)[0]:
                break
            try:
                found = os.read(self._terminal, min(65536, at_most))
            except OSError as error:
                if error.errno != errno.EIO:  # the program has ended
                    raise
                break
            if not found:
                break
            self.output += found
        return self.output[begun:]

    def read_until(self, *texts: str, seconds: float = 30.0) -> float:
        """Read until all texts were written; the seconds that it took."""
        begun = time.monotonic()
        while not all(text.encode() in self.output for text in texts):
            assert time.monotonic() - begun < seconds, f"{texts} not within {seconds} s: {self.output[-3000:]!r}"
            self.read(0.05)
        return time.monotonic() - begun

    def wait(self, condition: Callable[[], bool], *, seconds: float = 30.0) -> float:
        """Read until a condition holds; the seconds that it took."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < seconds, f"not within {seconds} s: {self.output[-3000:]!r}"
            self.read(0.05)
        return time.monotonic() - begun

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size, which the program is told by SIGWINCH."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def has_ended(self) -> bool:
        """Whether the program is gone; then its exit code is known, negative for a signal."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code is not None

    def hang_up(self) -> None:
        """Take the terminal away, as a lost connection does."""
        os.close(self._terminal)
        self._terminal = -1

    def close(self) -> None:
        """End it if it has not ended, and give everything back."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self.exit_code = os.waitstatus_to_exitcode(status)
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
