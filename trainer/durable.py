"""Files that a crash leaves either as they were or as they should be, and files that are read without trust.

Every call that changes the disk is one of `os`, in the order open, write, fsync, replace, fsync of the folder: rename
without the first fsync is the classic loss (Pillai et al., OSDI 2014), and without the second the name may go.
"""

import errno
import fcntl
import io
import os
import stat
from pathlib import Path

from trainer.sharing import create_anew

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""fcntl(2) of macOS; file systems that don't know it have fsync."""


def write_durably(path: Path, data: bytes) -> None:
    """Put bytes at a path so that a crash leaves the old content or the new one, never a part.

    Raises:
        OSError: the disk refused; the temporary file is removed again.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        descriptor = create_anew(temporary)
        try:
            _write_all(descriptor, data)
            flush(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: one call may take fewer (write(2)), and a disk that is getting full does so."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def flush(descriptor: int) -> None:
    """fsync(2), and on macOS what that is elsewhere: fsync alone leaves bytes in the drive's own cache there.

    Raises:
        OSError: the disk refused.
    """
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
        else:
            return
    os.fsync(descriptor)


def sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, outlive a power cut.

    Syncing a file says nothing of its name (fsync(2)), so its folder is synced as well.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def open_plain_file(path: Path) -> io.BufferedReader:
    """A plain file, to be read. A link is not followed, and a pipe not waited for.

    Raises:
        OSError: it is not there or can't be read; without an errno, it is no plain file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "it is no plain file", str(path))
    return os.fdopen(descriptor, "rb")


def read_plain_file(path: Path, *, largest_bytes: int) -> bytes:
    """The bytes of a plain file, of which nothing larger is read.

    Raises:
        OSError: it is not there, can't be read, is no plain file, or is too large.
    """
    with open_plain_file(path) as file:
        found = os.fstat(file.fileno())
        if found.st_size > largest_bytes:
            raise OSError(None, f"it has {found.st_size:,} bytes instead of at most {largest_bytes:,}", str(path))
        return file.read(found.st_size)
