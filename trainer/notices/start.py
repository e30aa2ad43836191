"""The trainer's side of notices: it starts the messenger, and says where none can be had."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.addresses import UNTOLD, NotifyError, read_notify, trouble
from trainer.job import Job
from trainer.notices.messenger import Errand
from trainer.process import identity, start_ticks
from trainer.store.notices import NOTICE

LINGER_SECONDS = 10.0
"""That a trainer waits at its very end for its last notice, where its own end is that of all processes."""

_CONTAINER_SIGNS = ("KUBERNETES_SERVICE_HOST", "container")
_ENDS_ALL = "SLURM_JOB_ID"


class Notices:
    """The messenger of a trainer. Nothing that goes wrong here is an error of the run."""

    def __init__(self) -> None:
        """None is there yet."""
        self._child: subprocess.Popen[bytes] | None = None

    def begin(self, job: Job) -> None:
        """Start it where a person has set up addresses; say so where they can't be used."""
        wrong = trouble()
        try:
            if not wrong and read_notify().to:
                self._child = _start(_errand(job), job.control.pulse.descriptor)
        except (NotifyError, OSError) as error:
            wrong = str(error)
        if wrong:
            job.warn(NOTICE, f"{UNTOLD}: {wrong}")

    def linger(self) -> None:
        """Let the last notice go out, where everything of the run is done and the end of this process ends all others.

        In a container and in a job of Slurm the messenger would be killed with the trainer.
        """
        if self._child is None or not ends_all(os.environ):
            return
        deadline = time.monotonic() + LINGER_SECONDS
        while self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)


def ends_all(environment: Mapping[str, str], *, docker: Path = Path("/.dockerenv")) -> bool:
    """Whether other processes of this trainer are killed when it ends: in a container or a job of Slurm."""
    named = any(name in environment for name in (_ENDS_ALL, *_CONTAINER_SIGNS))
    return os.getpid() == 1 or named or docker.exists()


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
    try:
        return b"trainer.supervise" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _start(errand: Errand, pulse: int | None) -> subprocess.Popen[bytes]:
    """A process in a session of its own, which no signal to the trainer's group reaches."""
    options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    command = [sys.executable, "-m", "trainer.notices.messenger", errand.to_json()]
    passed = () if pulse is None else (pulse,)
    return subprocess.Popen(command, pass_fds=passed, start_new_session=True, **options)
