"""The trainer's side of its watchdog: it starts the process, gives it the pulse, and ends itself when told to."""

import contextlib
import faulthandler
import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.errors import ExitCode
from trainer.paths import log_file
from trainer.process import identity
from trainer.pulse import Pulse
from trainer.sharing import append_to
from trainer.signals import TAKEN
from trainer.watchdog import STACKS_SIGNAL, Watch

_STARTS = 3
"""Times that a watchdog is started: one may be killed for memory, but not again and again."""
_AGAIN_SECONDS = 5.0
_LOOK_SECONDS = 1.0


class Watched:
    """Lets a watchdog of its own process watch this one. Use as a context manager, around all work of the run.

    The watchdog ends with this process, whatever ends it: the kernel sees to that (PR_SET_PDEATHSIG), and it looks
    for its parent itself. It inherits no descriptor but the pulse and the pipe that it speaks through, so neither the
    run's lock nor a pipe that the output goes into is held by it.
    """

    def __init__(
        self, runs: Path, run_id: str, pulse: Pulse, *, hang_seconds: float, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Args:
        runs: the runs folder.
        run_id: the run, whose log takes the stacks.
        pulse: shared memory.
        hang_seconds: silence that is a hang; 0 watches nothing.
        say: told where no watchdog can be had.
        """
        self._runs = runs
        self._run_id = run_id
        self._pulse = pulse
        self._hang_seconds = hang_seconds
        self._say = say
        self._log: io.BufferedWriter | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watchdog", daemon=True)

    def __enter__(self) -> "Watched":
        """Start it, which takes no time here."""
        if self._hang_seconds:
            with contextlib.suppress(OSError):  # a full disk; standard error takes the stacks then
                self._log = append_to(log_file(self._runs, self._run_id))
            faulthandler.register(STACKS_SIGNAL, file=self._log or sys.stderr, all_threads=True, chain=False)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if not self._hang_seconds:
            return
        self._closing.set()
        self._thread.join(timeout=10)
        faulthandler.unregister(STACKS_SIGNAL)
        if self._log is not None:
            self._log.close()

    def _work(self) -> None:
        """Wait for the watchdog's word, and start another one where it was killed."""
        # Its child has this mask for good: a supervisor's signals to the whole group are not for the watchdog.
        signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN | {STACKS_SIGNAL})
        for _ in range(_STARTS):
            self._be_watched()
            if self._closing.wait(_AGAIN_SECONDS if not self._closing.is_set() else 0):
                return
        self._say("the watchdog was lost again and again, so a hang will not be noticed from here on")

    def _be_watched(self) -> None:
        """One watchdog, from its start to its end."""
        ours, theirs = os.pipe()
        try:
            child = self._spawn(theirs)
        except OSError as error:
            self._say(f"no watchdog could be started ({error})")
            os.close(ours)
            return
        finally:
            os.close(theirs)
        try:
            while child.poll() is None and not self._closing.is_set():
                # A worker that is forked meanwhile may hold the other end too, so its end alone says nothing.
                if select.select([ours], [], [], _LOOK_SECONDS)[0] and os.read(ours, 1):
                    os._exit(ExitCode.HUNG)
        finally:
            os.close(ours)
            child.kill()
            child.wait()

    def _spawn(self, pipe: int) -> subprocess.Popen[bytes]:
        me = identity()
        assert self._pulse.descriptor is not None
        what = Watch(
            runs=str(self._runs),
            run_id=self._run_id,
            pid=me.pid,
            start_ticks=me.start_ticks,
            pulse=self._pulse.descriptor,
            end=pipe,
            hang_seconds=self._hang_seconds,
        )
        options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        command = [sys.executable, "-m", "trainer.watchdog", what.to_json()]
        return subprocess.Popen(command, pass_fds=(self._pulse.descriptor, pipe), **options)
