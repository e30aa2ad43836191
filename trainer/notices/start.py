"""The trainer's side of notices: it starts the messenger, and says where none can be had."""

import contextlib
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from trainer.addresses import UNTOLD, lacking, read_notify
from trainer.errors import TrainerError
from trainer.job import Job
from trainer.notices.messenger import Errand
from trainer.proc import command_line
from trainer.process import identity, start_ticks
from trainer.store.notices import NOTICE

LINGER_SECONDS = 10.0
"""That a trainer waits at its very end for its last notice, where its own end is that of all processes."""


class Notices:
    """The messenger of a trainer. Nothing that goes wrong here is an error of the run."""

    def __init__(self) -> None:
        """None is there yet."""
        self._over: int | None = None
        """Descriptor of a pipe whose other end the messenger has: at its end there is nothing more to tell."""

    def begin(self, job: Job) -> None:
        """Start it where a person has set up addresses; say so where they can't be used."""
        try:
            notify = read_notify()
            wrong = lacking(notify)
            if notify.to and not wrong:
                self._over = _start(_errand(job), job.control.pulse.descriptor)
        except (TrainerError, OSError) as error:
            wrong = str(error)
        if wrong:
            job.warn(NOTICE, f"{UNTOLD}: {wrong}")

    def linger(self) -> None:
        """Let the last notice go out, where everything of the run is done and the end of this process ends all others.

        In a container and in a job of Slurm the messenger would be killed with the trainer.
        """
        if self._over is None:
            return
        first = os.getppid() if _is_supervisor(os.getppid()) else 0
        with contextlib.suppress(ProcessLookupError):  # the supervisor may end at any time
            if ends_all(os.environ, os.getsid(first)):
                select.select([self._over], [], [], LINGER_SECONDS)


def ends_all(environment: Mapping[str, str], session: int) -> bool:
    """Whether other processes are killed when a trainer ends: in a job of Slurm, and as a container's main program.

    Args:
        environment: of the process.
        session: its session. That of process 1 is a container's main program; what is started otherwise has another.
    """
    return "SLURM_JOB_ID" in environment or session == 1


def _errand(job: Job) -> Errand:
    me = identity()
    events = job.store.events(run_id=job.run.id, limit=1)
    supervisor = os.getppid() if _is_supervisor(os.getppid()) else 0
    return Errand(
        runs=str(job.runs),
        run_id=job.run.id,
        pid=me.pid,
        start_ticks=me.start_ticks,
        pulse=-1 if job.control.pulse.descriptor is None else job.control.pulse.descriptor,
        after=events[-1].id if events else 0,
        supervisor=supervisor,
        supervisor_ticks=(start_ticks(supervisor) or 0) if supervisor else 0,
    )


def _is_supervisor(pid: int) -> bool:
    return "trainer.supervise" in command_line(pid)


def _start(errand: Errand, pulse: int | None) -> int:
    """Start it; the descriptor of a pipe that ends with it.

    It is no child of this process for longer than it takes to begin: whoever ends the trainer with its children, as its
    watchdog does, must not end the one who tells of it.
    """
    over, theirs = os.pipe()
    options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "trainer.notices.messenger", errand.to_json()]
    passed = (theirs,) if pulse is None else (theirs, pulse)
    try:
        child = subprocess.Popen(command, pass_fds=passed, start_new_session=True, **options)
    except OSError:
        os.close(over)
        raise
    finally:
        os.close(theirs)
    threading.Thread(target=child.wait, name="messenger", daemon=True).start()
    return over
