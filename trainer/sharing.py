"""Files of a runs folder that several people share: their group and permissions follow the folder they lie in.

As Git does for a repository with core.sharedRepository=group (git-config(1)): a umask says what a person wants for
files of their own, and a folder that its group may write says that this one is no longer a single person's. Root, which
may write everywhere, gives what it makes to the folder's owner, as SQLite does with its log (os_unix.c, robustFchown).

Nothing is followed that is a link: whoever may write a folder could lead another person's process elsewhere by one.
"""

import contextlib
import fcntl
import io
import os
import pwd
import stat
import time
from functools import lru_cache
from pathlib import Path

from trainer.errors import BusyError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_GROUP_READS_AND_WRITES = stat.S_IRGRP | stat.S_IWGRP
_NEW_FILE, _NEW_FOLDER = 0o666, 0o777

LOCK_SECONDS = 60.0
"""How long somebody else's work on a whole folder is waited for, of which the longest is a large store's upgrade."""

_NAP_SECONDS = 0.01


def shared_mode(mode: int, folder: int, *, is_folder: bool = False) -> int:
    """The permissions of something made in a folder. Pure.

    Args:
        mode: permission bits that it was made with.
        folder: those of the folder.
        is_folder: whether it is a folder itself.

    Returns:
        The same bits where the folder is one person's; with those of the group added where its group may write the
        folder, and never writable by anybody who may not write the folder. In a folder with the sticky bit, such as
        /tmp, everybody's files are their own.
    """
    others = 0 if folder & stat.S_ISVTX else folder & _OTHERS_WRITE
    mode = mode & ~_OTHERS_WRITE | mode & others
    if others & stat.S_IWGRP:
        mode |= _GROUP_READS_AND_WRITES
        mode |= stat.S_IXGRP | folder & stat.S_ISGID if is_folder else 0
    return mode


def settle(descriptor: int, folder: Path) -> None:
    """Give a file or folder that was just made the group and permissions that follow from its folder.

    What a file system without permissions refuses is left as it is.
    """
    above, made = folder.stat(), os.fstat(descriptor)
    if made.st_uid != os.geteuid():  # not what this process made: somebody has put a folder of theirs in its place
        return
    gives = os.geteuid() == 0 and above.st_uid != made.st_uid
    joins = bool(above.st_mode & stat.S_IWGRP) and not above.st_mode & stat.S_ISVTX
    if gives or (joins and above.st_gid != made.st_gid):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, above.st_uid if gives else -1, above.st_gid)
    mode = stat.S_IMODE(made.st_mode)
    wanted = shared_mode(mode, above.st_mode, is_folder=stat.S_ISDIR(made.st_mode))
    if wanted != mode:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, wanted)


def create(path: Path) -> int:
    """A descriptor of a file that is made for it, to be written.

    Raises:
        FileExistsError: there is something.
        OSError: it can't be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _NEW_FILE)
    try:
        settle(descriptor, path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_anew(path: Path) -> int:
    """The same for a temporary file: one that an ended process has left gives way, whoever's it is.

    Raises:
        OSError: it can't be made.
    """
    try:
        return create(path)
    except FileExistsError:
        path.unlink()
        return create(path)


def open_in_place(path: Path, flags: int) -> int:
    """A descriptor of a file that is made where it is missing.

    One that is there is opened without O_CREAT, which the kernel refuses in a folder with the sticky bit where the file
    is another person's (fs.protected_regular, proc_sys_fs(5)).

    Raises:
        OSError: it can't be opened or made, or is a link.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # somebody else was faster
            os.close(create(path))
        return os.open(path, flags)


def append_to(path: Path) -> io.BufferedWriter:
    """A file that is written at its end, made where it is missing.

    Raises:
        OSError: it can't be opened or made, or is a link.
    """
    return os.fdopen(open_in_place(path, os.O_WRONLY | os.O_APPEND), "ab")


def lock_descriptor(path: Path) -> int:
    """A descriptor of a file that is there to be locked with flock(2), for which reading is enough on a local disk.

    Raises:
        OSError: it can't be opened or made, or is a link.
    """
    try:
        return open_in_place(path, os.O_RDWR)
    except PermissionError:  # somebody else's, made while the folder was theirs alone
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def open_lock(path: Path) -> io.FileIO:
    """The same as a file, which closes it; raises as `lock_descriptor` does."""
    return io.FileIO(lock_descriptor(path), "r")


def lock_alone(lock: io.FileIO, path: Path) -> None:
    """Take the lock of an open file alone, waiting for whoever has it: whoever may read a file may lock it for good.

    Raises:
        BusyError: it was not let go for LOCK_SECONDS.
        OSError: it can't be locked.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{path} has been locked by another process for {LOCK_SECONDS:.0f} s; `lslocks` names it: see "
                    "whether it is stopped (state T in `ps`), and have it ended"
                ) from error
            time.sleep(_NAP_SECONDS)
        else:
            return


def make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder, and alike those above it that are missing.

    Raises:
        OSError: it can't be made, or is there and must not be.
    """
    if not path.parent.exists():
        make_folder(path.parent, exist_ok=True)
    try:
        path.mkdir(_NEW_FOLDER)
    except FileExistsError:
        if not exist_ok or not path.is_dir():
            raise
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        settle(descriptor, path.parent)
    finally:
        os.close(descriptor)


def give_to_group_of(path: Path, beside: Path) -> None:
    """Give a file that this person's SQLite made beside a store to the store's group.

    In a folder without the setgid bit it would be of the person's own group, and shut out whoever else uses the store.
    """
    with contextlib.suppress(OSError):
        found, wanted = beside.lstat(), path.stat().st_gid
        if found.st_uid == os.geteuid() and found.st_gid != wanted and stat.S_ISREG(found.st_mode):
            os.chown(beside, -1, wanted, follow_symlinks=False)


@lru_cache(maxsize=256)
def user_name(uid: int) -> str:
    """What a user is called, or the number where this machine knows no name for it, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def owner_of(path: Path) -> str:
    """The name of whoever owns a file or folder; empty where that can't be told."""
    try:
        return user_name(path.lstat().st_uid)
    except OSError:
        return ""


def whose(path: Path) -> str:
    """`, which is anna's,` for the middle of a sentence on a path that is another person's, else nothing."""
    try:
        uid = path.stat().st_uid
    except OSError:
        return ""
    return "" if uid == os.geteuid() else f", which is {user_name(uid)}'s,"
