"""One lock for each device of the machine, so that runs that queue for it take turns.

A trainer holds the lock of its device shared, so that several may still be launched onto one device on purpose. A
queued trainer goes on when it gets the lock alone, and turns it to shared at once (POSIX converts a lock atomically):
whoever queues later waits, whoever is launched plainly joins. A benchmark holds it alone until it ends.

The files lie in a folder for all users of the machine. They are POSIX locks: the kernel frees them with the process
(fcntl(2)), forked loader workers don't inherit them, and closing any descriptor of a file frees them, so each file is
opened once per process and kept.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path

from trainer import elsewhere
from trainer.errors import BusyError, TrainerError
from trainer.paths import is_run_id
from trainer.people import is_anothers, named_with_owner
from trainer.proc import command_line
from trainer.process import locked_by
from trainer.store.queue import run_of_process
from trainer.store.reader import StoreReader
from trainer.store.records import Run

FOLDER_VARIABLE = "SIMCLR_TUI_LOCKS"
_FOLDER = "/tmp/simclr-tui-locks"
_FOLDER_MODE, _FILE_MODE = 0o1777, 0o666
_ATTEMPTS, _ATTEMPT_SECONDS = 10, 0.05
_CONVERSION_SECONDS = 3.0
"""A queued trainer holds the lock alone for an instant; who finds it so for longer has met a benchmark."""


class DeviceLockError(TrainerError):
    """The folder of the locks cannot be used."""


def folder() -> Path:
    """Where the locks lie: $SIMCLR_TUI_LOCKS, else a folder in /tmp, which is of one machine, as its devices are."""
    return Path(os.environ.get(FOLDER_VARIABLE) or _FOLDER)


class DeviceLock:
    """The lock of one device in this process. `open_lock` gives the only one there is."""

    def __init__(self, name: str, path: Path, descriptor: int) -> None:
        """Args: the device's name (see trainer.devices) and the open file; nothing is held yet."""
        self.name = name
        self._path = path
        self._descriptor = descriptor
        self.process = os.getpid()

    def try_alone(self) -> bool:
        """Take it if nobody else has it; whether that worked."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take it, or turn it, to shared; not possible while somebody has it alone."""
        return self._try(fcntl.LOCK_SH)

    def share(self) -> bool:
        """Take it as a trainer does that was launched plainly, waiting out another's conversion; whether it worked."""
        deadline = time.monotonic() + _CONVERSION_SECONDS
        while not self.try_shared():
            if time.monotonic() > deadline:
                return False
            time.sleep(_ATTEMPT_SECONDS)
        return True

    def _try(self, how: int) -> bool:
        try:
            if not self._is_in_place():
                # Its folder's owner may delete a file that others have locked, and whoever came later locks a new one.
                os.close(self._descriptor)
                self._descriptor = _open(_folder_descriptor(self._path.parent), self._path.name)
            fcntl.lockf(self._descriptor, how | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise DeviceLockError(_unusable(error)) from error
        return True

    def _is_in_place(self) -> bool:
        """Whether the file that is open is the one that others find under its name."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.lstat())
        except FileNotFoundError:
            return False

    def other(self) -> int | None:
        """A process beside this one that has the lock, or None; 0 where it can't be seen from here."""
        return locked_by(self._descriptor)

    def let_go(self) -> None:
        """Give up the lock, and keep the file open."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give up the lock for good."""
        if _open_locks.get(self._path) is self:
            del _open_locks[self._path]
        os.close(self._descriptor)


_open_locks: dict[Path, DeviceLock] = {}
_open_folders: dict[Path, int] = {}


def open_lock(name: str) -> DeviceLock:
    """The lock of a device, with its file made where it is missing. Takes nothing.

    Raises:
        DeviceLockError: the folder or the file can't be made or opened, or is not what it should be.
    """
    path = folder() / _file_name(name)
    known = _open_locks.get(path)
    if known is not None and known.process == os.getpid():
        return known
    for attempt in range(_ATTEMPTS):
        try:
            descriptor = _open(_folder_descriptor(folder()), path.name)
            _open_locks[path] = DeviceLock(name, path, descriptor)
            return _open_locks[path]
        except PermissionError as error:
            # Another user makes it right now, and it gets its permissions a moment after its name.
            if attempt == _ATTEMPTS - 1:
                raise DeviceLockError(_unusable(error)) from error
            time.sleep(_ATTEMPT_SECONDS)
        except OSError as error:
            raise DeviceLockError(_unusable(error)) from error
    raise AssertionError


def let_go_of_all() -> None:
    """Give up every lock that this process has. Whoever calls a trainer's main may go on afterwards."""
    for lock in _open_locks.values():
        if lock.process == os.getpid():
            lock.let_go()


def user_of(name: str) -> int | None:
    """A process that has the lock of a device, or None; 0 where it can't be seen from here. Takes and makes nothing."""
    path = folder() / _file_name(name)
    known = _open_locks.get(path)
    if known is not None and known.process == os.getpid():
        return known.other()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return locked_by(descriptor)
    finally:
        os.close(descriptor)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII) + ".lock"


def _folder_descriptor(path: Path) -> int:
    """The open folder, made for everybody where it is missing, each writing only what is his (as in /tmp).

    A shared flock on it is kept, which systemd-tmpfiles takes as a sign to leave old files in it alone
    (tmpfiles.d(5)): a run may be longer than files in /tmp are kept.
    """
    if path in _open_folders:
        return _open_folders[path]
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        pass
    else:
        path.chmod(_FOLDER_MODE)  # mkdir's mode would be cut by the umask
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    _open_folders[path] = descriptor
    return descriptor


def _open(inside: int, name: str) -> int:
    """A descriptor of a file in the folder, which is never followed if it is a link: anybody may put one there.

    An existing file is opened without O_CREAT, since the kernel refuses that in such a folder where the file is
    another user's (fs.protected_regular, proc_sys_fs(5)).
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags, dir_fd=inside)
    except FileNotFoundError:
        try:
            descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, _FILE_MODE, dir_fd=inside)
        except FileExistsError:
            descriptor = os.open(name, flags, dir_fd=inside)
        else:
            os.fchmod(descriptor, _FILE_MODE)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file", name)
    return descriptor


def _unusable(error: OSError) -> str:
    return (
        f"the device locks in {folder()} can't be used ({error.filename or folder()}: {error.strerror}), so runs on "
        f"one device don't wait for each other; mend that folder, or name another one in ${FOLDER_VARIABLE}"
    )


def who(store: StoreReader, process: int) -> tuple[str, Run | None]:
    """A process that has a device's lock, in words, and its run where this runs folder has it."""
    run = run_of_process(store, process) if process else None
    if run is not None:
        return f"{named_with_owner(run)} ({run.id})", run
    if not process:
        return "a process of another container", None
    # Where /proc is mounted with hidepid=2 nothing is told of other people's processes.
    owner = elsewhere.owner(process) or "another user"
    other = _run_elsewhere(process)
    return f"{owner}'s run {other} (process {process})" if other else f"process {process} of {owner}", None


def _run_elsewhere(process: int) -> str:
    """The run of another runs folder that a process trains, by its command line; empty where that is not told."""
    words = command_line(process)
    try:
        run_id = words[words.index("--run") + 1]
        runs = Path(words[words.index("--runs-dir") + 1])
    except (ValueError, IndexError):
        return ""
    if not is_run_id(run_id) or not runs.is_absolute() or not str(runs).isprintable():
        return ""
    try:
        with contextlib.closing(StoreReader.open(runs)) as store:
            return f"{store.run(run_id).name} in {runs}"
    except TrainerError:  # most people's folders are their own
        return f"{run_id} in {runs}"


def hold_alone(store: StoreReader, name: str) -> DeviceLock:
    """Take a device for a benchmark, which nobody may disturb; it is kept until `close`.

    Raises:
        BusyError: somebody uses it; the sentence names the run and offers to pause it.
        DeviceLockError: the locks can't be used.
    """
    lock = open_lock(name)
    deadline = time.monotonic() + _CONVERSION_SECONDS
    while not lock.try_alone():
        process = lock.other()
        if process is not None and time.monotonic() > deadline:
            words, run = who(store, process)
            is_ours = run is not None and not is_anothers(run, or_runner=True)
            remedy = f"pause it with `simclr-tui pause {run.id}`, or wait" if run and is_ours else "wait"
            raise BusyError(f"the device {name} is used by {words}; {remedy} until it ends")
        time.sleep(_ATTEMPT_SECONDS)
    return lock
