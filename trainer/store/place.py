"""The file of a store before SQLite sees it: what it is, who may use it, and what becomes of the files beside it."""

import os
import stat
from pathlib import Path

from trainer.errors import StoreError
from trainer.sharing import create, give_to_group_of, owner_of, whose

_HEADER_BYTES = 100
"""Of every SQLite database that is not empty (sqlite.org/fileformat.html)."""


def check_plain(path: Path) -> None:
    """See that a store is a plain file, if it is there: SQLite would wait for what comes out of a pipe.

    A file that is shorter than a database's header is refused too, since SQLite takes it for an empty one and
    overwrites it.

    Raises:
        StoreError: it is something else, or may not be read.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{path} cannot be used as a run store ({error.strerror}); name another --runs-dir") from error
    if not stat.S_ISREG(found.st_mode) or 0 < found.st_size < _HEADER_BYTES:
        reason = "no database" if stat.S_ISREG(found.st_mode) else "no plain file"
        raise StoreError(f"{path} cannot be used as a run store ({reason}); name another --runs-dir")
    if not os.access(path, os.R_OK):
        raise StoreError(
            f"{path}{whose(path)} cannot be read by you; name another --runs-dir, or have {owner_of(path)} let you "
            "read it (docs/shared-box.md)"
        )


def make_or_refuse(path: Path) -> None:
    """Make the file of a store where it is missing, whose permissions SQLite gives to its log as well.

    Raises:
        StoreError: it can't be made, or is there and another person's, who alone may write it.
    """
    try:
        os.close(create(path))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"{path} cannot be made ({error.strerror}); name a --runs-dir that you can write") from error
    if not os.access(path, os.W_OK):
        owner = owner_of(path)
        raise StoreError(
            f"{path} is {owner}'s and can be read but not written by you; name a --runs-dir of your own, or "
            f"have {owner} share it (docs/shared-box.md)"
        )


def share(path: Path) -> None:
    """See that what this connection's SQLite made beside a store can be used by the others who use the store."""
    for suffix in ("-wal", "-shm"):
        give_to_group_of(path, path.with_name(path.name + suffix))
