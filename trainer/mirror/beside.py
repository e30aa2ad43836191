"""The trainer's side of its mirrors: it starts their processes, and starts one again that was killed."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.mirror.mark import mirror_log
from trainer.mirror.names import LOGGERS, is_installed
from trainer.mirror.wanted import wanted
from trainer.paths import mirrors_dir
from trainer.process import lock_holder
from trainer.sharing import append_to, make_folder
from trainer.signals import Signals
from trainer.store.records import TRAINED_KINDS, Run

_AGAIN_SECONDS = 10.0
_STARTS = 5
"""Times that one mirror is started beside one trainer: a package that crashes would crash again and again."""
_LOOK_SECONDS = 1.0


def command(runs: Path, run_id: str, name: str) -> list[str]:
    """The command line of a mirror beside a trainer."""
    words = [sys.executable, "-m", "trainer.mirror", "--runs-dir", str(runs), "--run", run_id, "--to", name]
    return [*words, "--beside-trainer"]


class Mirrors:
    """The mirrors of a run that a trainer has begun.

    Each is a process in a session of its own, so that neither Ctrl-C nor the end of the trainer cuts it off: it ends by
    itself, once the run has ended and all of it is handed on. What fails here is said and nothing more.
    """

    def __init__(self) -> None:
        """None is begun yet."""
        self._runs = Path()
        self._run_id = ""
        self._tell: Callable[[str], None] = lambda _: None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, int] = {}
        self._closing = threading.Event()

    @contextmanager
    def beside(self, runs: Path, run: Run, tell: Callable[[str], None]) -> Iterator[None]:
        """Have a run mirrored to every logger that it is to be mirrored to, while the block goes on.

        After an evaluation it is the run that was evaluated which has something new.

        Args:
            runs: the runs folder.
            run: the run.
            tell: told what is amiss, as a warning.
        """
        self._runs, self._run_id, self._tell = runs, run.id, tell
        is_trained = run.kind in TRAINED_KINDS
        if is_trained:
            self._start_all()
        thread = threading.Thread(target=self._look_after, name="mirrors", daemon=True)
        if self._children:
            thread.start()
        try:
            yield
        finally:
            self._closing.set()
            if thread.is_alive():
                thread.join(timeout=5)
            source = run.source_run_id
            if not is_trained and source and lock_holder(runs, source) is None:  # a live one has its own
                self._run_id = source
                self._start_all()

    def wait(self, seconds: float, signals: Signals) -> None:
        """Give them time to hand on the rest, where nothing outlives this process, as in a container.

        Args:
            seconds: at most.
            signals: of this process; one that comes meanwhile ends the wait.
        """
        deadline, asked = time.monotonic() + seconds, signals.ending
        while any(child.poll() is None for child in self._children.values()) and time.monotonic() < deadline:
            if signals.ending != asked:
                return
            time.sleep(0.05)

    def _start_all(self) -> None:
        names = wanted(self._runs, self._run_id)
        for name in names:
            if is_installed(name):
                self._start(name)
                continue
            remedy = f"`pip install 'simclr-tui[{name}]'`, then resume"
            self._tell(f"{LOGGERS[name].title} is not installed here, so it gets nothing of this run; {remedy}")

    def _start(self, name: str) -> None:
        self._starts[name] = self._starts.get(name, 0) + 1
        try:
            make_folder(mirrors_dir(self._runs, self._run_id), exist_ok=True)
            with append_to(mirror_log(self._runs, self._run_id, name)) as log:
                self._children[name] = subprocess.Popen(
                    command(self._runs, self._run_id, name),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            self._tell(f"the mirror to {LOGGERS[name].title} can't be started ({error}); training goes on without it")

    def _look_after(self) -> None:
        """Start one again that was killed; one that gave up by itself has said so."""
        while not self._closing.wait(_LOOK_SECONDS):
            for name, child in list(self._children.items()):
                if child.poll() is None or child.returncode >= 0:
                    continue
                del self._children[name]
                if self._starts[name] == _STARTS:
                    self._tell(f"the mirror to {LOGGERS[name].title} was killed {_STARTS} times; a resume tries again")
                elif not self._closing.wait(_AGAIN_SECONDS):
                    self._start(name)
