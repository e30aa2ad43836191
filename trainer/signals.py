"""The signals of a trainer, as flags: a handler saves nothing and cuts nothing off.

A handler that saved would do so in the middle of a step, with half of the weights updated; so the loop looks at the
flags between steps. SIGTERM, SIGINT and SIGXCPU (the soft limit of CPU time, `ulimit -t` and batch systems) ask the run
to end, SIGUSR1 asks for a checkpoint, or to end for being queued again, and SIGHUP is ignored: a run that loses its
terminal goes on (signal(7); Slurm's `--signal=B:USR1@120`).
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainer.errors import ExitCode

HURRY_SECONDS = 2.0
"""A second Ctrl-C within so long leaves at once; a second SIGUSR1 within so long ends the run for requeueing."""

_BOUNCE_SECONDS = 0.15
"""A second Ctrl-C so soon after the first is the same press of the key."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU)
TAKEN = frozenset({*_ENDING, signal.SIGUSR1, signal.SIGHUP})
"""Every signal that the trainer answers itself."""


class Signals:
    """What was asked for by signals since `listen`."""

    def __init__(self, *, requeue: bool = False) -> None:
        """Args: whether SIGUSR1 ends the run for being queued again, instead of saving and going on."""
        self.ending: int | None = None
        """The signal that asks the run to end, if one came; SIGUSR1 where it is to be queued again."""
        self.save = False
        """Whether a checkpoint was asked for."""
        self.run_id = ""
        """Named in what a person reads who leaves at once."""
        self._requeue = requeue
        self._ending_at = 0.0
        self._save_at = float("-inf")

    def listen(self) -> None:
        """Take over. Only the main thread of a process may do so."""
        for number in _ENDING:
            signal.signal(number, self._end)
        signal.signal(signal.SIGUSR1, self._user)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        since = now - self._ending_at
        if number == signal.SIGINT and self.ending == signal.SIGINT:
            if since < _BOUNCE_SECONDS:
                return
            if since < HURRY_SECONDS:
                self._leave()
        self.ending, self._ending_at = number, now

    def _leave(self) -> None:
        which = f"resume {self.run_id} goes on from its last checkpoint" if self.run_id else "nothing was begun"
        with contextlib.suppress(OSError):
            os.write(2, f"\nended at once; {which}\n".encode())
        os._exit(ExitCode.SIGINT)

    def _user(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        again, self._save_at = now - self._save_at < HURRY_SECONDS, now
        if self._requeue or again:
            self.ending = self.ending or signal.SIGUSR1
        else:
            self.save = True


@contextmanager
def held_back() -> Iterator[None]:
    """Let the signals of the trainer wait meanwhile, and keep them from processes that are begun meanwhile for good.

    A supervisor's SIGTERM reaches every process of a job. A worker that died of it before it can say otherwise would
    fail the trainer in the middle of a step; a forked process has the mask from its first instruction on.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
