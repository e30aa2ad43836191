"""Nobody else uses a runs folder, or does what one process of it may do at a time."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trainer import elsewhere
from trainer.errors import BusyError, StoreError
from trainer.process import live_trainers
from trainer.sharing import open_lock


@contextmanager
def only_one(path: Path, *, told: str) -> Iterator[None]:
    """Hold the lock of a piece of work that one process of a folder may do at a time.

    Args:
        path: of the lock.
        told: the sentence where somebody else holds it.

    Raises:
        BusyError: somebody does.
        StoreError: the file can't be locked.
    """
    with ExitStack() as held:
        try:
            fcntl.flock(held.enter_context(open_lock(path)), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(told) from error
        except OSError as error:
            raise StoreError(f"{path} cannot be locked ({error.strerror}); check the folder's permissions") from error
        yield


def refuse_live(runs: Path) -> None:
    """See that no trainer of the folder lives.

    Raises:
        BusyError: one does.
    """
    for run_id, pid in live_trainers(runs):
        raise BusyError(f"run {run_id} has a live trainer (process {pid}); pause or stop it first")


def refuse_writers(path: Path) -> None:
    """See that no other process may write to a store that is about to be replaced.

    The last writer that closes a database deletes its write-ahead log by name, which by then would be the new store's,
    with commits in it (sqlite.org/howtocorrupt.html, §2.4). Readers, such as dashboards, do not.

    Raises:
        BusyError: one may.
    """
    if not elsewhere.has_proc():
        _refuse_openers(path)
        return
    for process in elsewhere.PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            writes = any(_writes_to(process, descriptor, path) for descriptor in (process / "fd").iterdir())
        except OSError:  # another person's, or ended meanwhile
            continue
        if writes:
            raise BusyError(f"process {process.name} has {path} open for writing; end it, then try again")


def _refuse_openers(path: Path) -> None:
    """The same where nothing tells who writes and who reads: every process of this user that has it open may write."""
    import psutil

    for process in psutil.process_iter(["open_files"]):
        if process.pid != os.getpid() and any(Path(one.path) == path for one in process.info["open_files"] or ()):
            raise BusyError(f"process {process.pid} has {path} open; end it, dashboards too, then try again")


def _writes_to(process: Path, descriptor: Path, path: Path) -> bool:
    try:
        if not descriptor.samefile(path):
            return False
        flags = re.search(r"^flags:\s*([0-7]+)", (process / "fdinfo" / descriptor.name).read_text(), re.MULTILINE)
    except OSError:  # closed meanwhile
        return False
    return flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY
