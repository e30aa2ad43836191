"""Reading a store where nothing can be written: another person's, or one on a read-only disk."""

import os
from pathlib import Path
from urllib.parse import quote

from trainer.store.guard import wal_file

_READ_VERSION, _READ_VERSION_OF_WAL = 19, b"\x02"
"""Where it stands in the header how a file is to be read, and what stands there in WAL mode
(sqlite.org/fileformat.html, "File format version numbers")."""


def can_write(path: Path) -> bool:
    """Whether this process may write a store and make files beside it."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)


def read_only_address(path: Path) -> str:
    """The URI by which SQLite opens a store to read it.

    Who may not write the store makes nothing beside it either: SQLite's own -shm in a folder that several people may
    write would be the reader's, and its writer could not write any more (os_unix.c, `readonly_shm`).
    """
    makes_nothing = "" if can_write(path) else "&readonly_shm=1"
    return f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if is_frozen(path) else makes_nothing)


def is_frozen(path: Path) -> bool:
    """Whether a store is at rest where this process can write nothing: another person's, or on a read-only disk.

    To read one in WAL mode SQLite makes files beside it, so that it can only be opened as one that nobody changes
    (sqlite.org/wal.html, "Read-Only Databases"). Who holds such a connection does not see what others write later.
    """
    try:
        if can_write(path) or os.path.lexists(wal_file(path)):
            return False
        with path.open("rb") as file:
            return file.read(_READ_VERSION + 1)[_READ_VERSION:] == _READ_VERSION_OF_WAL
    except OSError:
        return False
