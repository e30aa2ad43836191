"""The real program in a real terminal: a tmux session of its own server, whose screen is read as a person reads it."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TMUX = shutil.which("tmux")

_TYPED = {
    "↵": "Enter",
    "esc": "Escape",
    "space": "Space",
    "^p": "C-p",
    "←": "Left",
    "→": "Right",
    "↑": "Up",
    "↓": "Down",
}
"""Keys as the screen writes them, and as tmux does."""

_UNSET = ("-u", "NO_COLOR", "-u", "COLUMNS", "-u", "LINES")
"""A test runner may have exported a size that is not this terminal's."""


class Screen:
    """A dashboard on a runs folder; keys may be pressed only if the screen names them."""

    def __init__(self, runs: Path, *, size: tuple[int, int] = (120, 36)) -> None:
        """Starts it in a terminal of that size."""
        assert TMUX is not None
        self._server = [TMUX, "-L", f"story-{os.getpid()}-{time.monotonic_ns()}", "-f", "/dev/null"]
        self._begin(runs, size)

    def _begin(self, runs: Path, size: tuple[int, int]) -> None:
        home = runs.parent
        environment = [f"XDG_STATE_HOME={home}/state", f"XDG_CONFIG_HOME={home}/config", "COLORTERM=truecolor"]
        program = [sys.executable, "-m", "simclr_tui", "--runs-dir", str(runs)]
        width, height = map(str, size)
        self._tmux("new-session", "-d", "-x", width, "-y", height, "env", *_UNSET, *environment, *program)
        self.named: set[str] = set()
        """Keys that the help has named."""

    def _tmux(self, *words: str) -> str:
        done = subprocess.run([*self._server, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def text(self) -> str:
        """What a person sees."""
        return self._tmux("capture-pane", "-p")

    def wait_for(self, *texts: str, seconds: float = 60.0) -> str:
        """Wait until the screen shows every text; the screen."""
        return self.wait(lambda screen: all(text in screen for text in texts), f"{texts}", seconds=seconds)

    def wait(self, condition: Callable[[str], bool], what: str, *, seconds: float = 60.0) -> str:
        """Wait until the screen is so; the screen."""
        until = time.monotonic() + seconds
        while True:
            screen = self.text
            if condition(screen):
                return screen
            assert time.monotonic() < until, f"{what} not within {seconds} s; the screen:\n{screen}"
            time.sleep(0.1)

    def press(self, *keys: str) -> None:
        """Press keys that the screen names, written as it writes them.

        Raises:
            AssertionError: neither the screen nor the help named one.
        """
        for key in keys:
            screen = self.text
            is_named = key in self.named or re.search(rf"(?<!\w){re.escape(key)}(?!\w)", screen) is not None
            assert is_named, f"nothing names {key}; the screen:\n{screen}"
            self._tmux("send-keys", _TYPED.get(key, key))
            time.sleep(0.3)

    def type(self, text: str) -> None:
        """Type letters into the field that has the focus."""
        self._tmux("send-keys", "-l", text)
        time.sleep(0.2)

    def read_help(self, keys: Sequence[str]) -> None:
        """Remember keys that the help on the screen names."""
        screen = self.text
        for key in keys:
            assert re.search(rf"(?<!\w){re.escape(key)}(?!\w)", screen), f"the help does not name {key}:\n{screen}"
            self.named.add(key)

    def close(self) -> None:
        """End the terminal, and the program with it."""
        subprocess.run([*self._server, "kill-server"], capture_output=True, check=False)

    def __enter__(self) -> "Screen":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
