"""What the dashboard remembers of a runs folder: how it was sorted, which columns and charts were shown, and so on.

It lies outside the runs folder, in the user's state folder (XDG Base Directory Specification), so that a folder that
can't be written is looked at like any other, and that two people on one store have each their own. What it holds is a
convenience: a file that can't be read counts as empty, and one that can't be written is said once.
"""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.paths import user_dir

STATE_VARIABLE = "XDG_STATE_HOME"


def state_folder() -> Path:
    """Where the program keeps what it remembers.

    Raises:
        UsageError: the user has no home, as in some containers.
    """
    return user_dir(STATE_VARIABLE, ".local/state", what="what is remembered")


def state_file(runs: Path) -> Path:
    """The file of a runs folder."""
    name = hashlib.sha256(str(runs.resolve()).encode()).hexdigest()[:16]
    return state_folder() / f"{name}.json"


class Remembered:
    """Values by name, of what JSON knows. Any thread may ask and tell."""

    def __init__(self, runs: Path, complain: Callable[[str], object] = lambda _: None) -> None:
        """Args: the runs folder, and what takes the sentence that says why nothing can be remembered."""
        self._runs = runs
        self._file = state_file(runs)
        self._complain = complain
        self._has_complained = False
        self._lock = threading.Lock()
        self._values = self._read()

    def get(self, name: str, default: Any = None) -> Any:
        """What was told last under a name."""
        return self._values.get(name, default)

    def put(self, name: str, value: Any) -> None:
        """Remember a value, beside what other dashboards on the same folder have told since."""
        with self._lock:
            if name in self._values and self._values[name] == value:
                return
            self._values = {**self._values, **self._read(), name: value}
            try:
                self._write()
            except OSError as error:
                if not self._has_complained:
                    self._has_complained = True
                    self._complain(
                        f"{self._file}: {error.strerror}, so nothing of the layout is kept for the next time"
                    )

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps({**self._values, "runs": str(self._runs)}, indent=1), encoding="utf-8")
        fresh.replace(self._file)
