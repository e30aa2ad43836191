"""Processes: who holds a run, who is alive, how a trainer is started and told to end.

A run is alive while the POSIX lock on its `run.lock` is held: the kernel frees it with the process, whatever
killed it, and no process id that came round again can fool it. `fcntl` locks are not inherited by forked workers,
but closing any descriptor of the file in the holding process frees them, so the trainer opens it exactly once, and
everybody else asks with F_GETLK and never takes it.
"""

import contextlib
import fcntl
import os
import shlex
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer import elsewhere
from trainer.errors import BusyError, StoreError, UnknownRunError
from trainer.paths import checkpoint_dir, lock_file, log_file, run_dir
from trainer.sharing import append_to, lock_alone, open_lock, user_name, whose

_IS_MAC = sys.platform == "darwin"
_FLOCK = struct.Struct("hhqqi")  # struct flock of Linux on 64 bits: type, whence, start, length, pid
MAC_FLOCK = struct.Struct("qqihh")
"""struct flock of macOS: start, length, pid, type, whence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What tells one process from every other: its start since that boot of that machine."""

    host: str
    boot_id: str
    pid: int
    start_ticks: int

    def columns(self) -> dict[str, Any]:
        """The columns of `runs` that name its process, which is this user's as this one is."""
        process = {"host": self.host, "boot_id": self.boot_id, "pid": self.pid, "start_ticks": self.start_ticks}
        return process | {"runner": user_name(os.geteuid()), "runner_uid": os.geteuid()}


def made_by_me() -> dict[str, Any]:
    """The columns of `runs` that say who makes a run: this user."""
    return {"owner": user_name(os.geteuid()), "owner_uid": os.geteuid()}


def boot_id() -> str:
    """The kernel's id of this boot."""
    try:
        return (elsewhere.PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        return elsewhere.boot_id()


def start_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the start of a live process, or None where there is none (or only its zombie).

    A process lives until its last thread has ended, and its locks with it. Its first thread may be a zombie before that
    (proc_pid_stat(5), state and num_threads): of a trainer that is killed, while its memory is given back.
    """
    try:
        after_name = (elsewhere.PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if elsewhere.has_proc() else elsewhere.start_ticks(pid)
    is_gone = after_name[0] == "X" or (after_name[0] == "Z" and int(after_name[17]) <= 1)
    return None if is_gone else int(after_name[19])


def identity(pid: int | None = None) -> Identity:
    """The identity of a process of this machine, by default this one."""
    pid = os.getpid() if pid is None else pid
    return Identity(host=socket.gethostname(), boot_id=boot_id(), pid=pid, start_ticks=start_ticks(pid) or 0)


def is_alive(who: Identity) -> bool:
    """Whether that very process still runs on this machine."""
    return who.host == socket.gethostname() and who.boot_id == boot_id() and start_ticks(who.pid) == who.start_ticks


def refuse_unwritable(runs: Path, run_id: str) -> None:
    """See that a trainer of this user could write everything of a run that is there. Writes nothing.

    Raises:
        StoreError: it could not, as in the run of another person who does not share it.
    """
    folder = run_dir(runs, run_id)
    for path in (folder, lock_file(runs, run_id), log_file(runs, run_id), checkpoint_dir(runs, run_id)):
        if path.exists() and not os.access(path, os.W_OK):
            who = "g" if whose(path) else "u"
            raise StoreError(
                f"{path}{whose(path)} cannot be written by you, so neither can this run be by a trainer of yours; "
                f"`chmod -R {who}+rwX {shlex.quote(str(folder))}` by its owner changes that"
            )


class RunLock:
    """The lock of a run, held by its trainer from before it claims the run until it ends."""

    def __init__(self, runs: Path, run_id: str) -> None:
        """Take the lock.

        Raises:
            BusyError: another trainer holds it.
            StoreError: the run's folder cannot be written.
        """
        refuse_unwritable(runs, run_id)
        try:
            self._file = append_to(lock_file(runs, run_id))
        except OSError as error:
            raise StoreError(
                f"{lock_file(runs, run_id)} cannot be written ({error.strerror}); check the folder's permissions"
            ) from error
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise BusyError(
                f"run {run_id} already has a trainer; watch it with simclr-tui, or pause it before you resume it"
            ) from error

    def release(self) -> None:
        """Let the lock go; others see the run as no longer alive from here on."""
        self._file.close()


@contextmanager
def making_runs(runs: Path) -> Iterator[None]:
    """Let one process at a time look for a run by its name and make it, so that two don't make it twice.

    Raises:
        BusyError: somebody has held it for very long.
        StoreError: the lock can't be used, as in another person's folder.
    """
    path = runs / "runs.lock"
    with contextlib.ExitStack() as opened:
        try:
            lock_alone(opened.enter_context(open_lock(path)), path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be locked ({error.strerror}); check the folder's permissions, or name another "
                "--runs-dir"
            ) from error
        yield


def lock_holder(runs: Path, run_id: str) -> int | None:
    """The process id of the run's trainer on this machine, or None where none lives.

    Asks the kernel and takes nothing. The process that holds the lock must not call this about itself.
    """
    try:
        descriptor = os.open(lock_file(runs, run_id), os.O_RDONLY)
    except OSError:
        return None
    try:
        return locked_by(descriptor)
    finally:
        os.close(descriptor)


def live_trainers(runs: Path) -> Iterator[tuple[str, int]]:
    """The runs of a folder that have a trainer on this machine, with its process id. Takes nothing.

    Raises:
        OSError: the folder can't be listed.
    """
    for folder in sorted(runs.iterdir()):
        with suppress(UnknownRunError):
            run_dir(runs, folder.name)
            pid = lock_holder(runs, folder.name)
            if pid is not None:
                yield folder.name, pid


def locked_by(descriptor: int) -> int | None:
    """A process other than this one that has a lock on an open file, or None; 0 where it can't be seen from here."""
    if _IS_MAC:
        question = MAC_FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = MAC_FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    else:
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else pid


def launch(runs: Path, run_id: str, *, in_line: bool = False, is_supervised: bool = False) -> subprocess.Popen[bytes]:
    """Start the trainer of a run in a session of its own, so that it outlives the terminal and the dashboard.

    What it prints goes to the run's log. The caller keeps the handle and polls it now and then, so that no zombie
    is left behind.

    Args:
        runs: the runs folder.
        run_id: the run.
        in_line: whether it waits for its device behind others.
        is_supervised: whether a supervisor starts it, and starts it again after a crash.

    Raises:
        StoreError: the run's log cannot be written.
    """
    program = "trainer.supervise" if is_supervised else "trainer.run"
    command = [sys.executable, "-m", program, "--runs-dir", str(runs), "--run", run_id]
    command += ["--queue"] if in_line else []
    try:
        with append_to(log_file(runs, run_id)) as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise StoreError(f"{log_file(runs, run_id)} cannot be written ({error.strerror}); free some space") from error


def wait_until_free(runs: Path, run_id: str, *, seconds: float) -> bool:
    """Wait for a trainer that is ending to let its lock go; whether it did."""
    deadline = time.monotonic() + seconds
    while lock_holder(runs, run_id) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
