"""Reading a store where nothing can be written: another person's folder, or a read-only disk."""

import os
from pathlib import Path
from urllib.parse import quote

from trainer.store.guard import wal_file

_READ_VERSION, _READ_VERSION_OF_WAL = 19, b"\x02"
"""Where it stands in the header how a file is to be read, and what stands there in WAL mode
(sqlite.org/fileformat.html, "File format version numbers")."""


def read_only_address(path: Path) -> str:
    """The URI by which SQLite opens a store to read it."""
    return f"file:{quote(str(path))}?mode=ro" + ("&immutable=1" if is_frozen(path) else "")


def is_frozen(path: Path) -> bool:
    """Whether a store is at rest where this process can write nothing: another person's, or on a read-only disk.

    To read one in WAL mode SQLite makes files beside it, so that it can only be opened as one that nobody changes
    (sqlite.org/wal.html, "Read-Only Databases"). Who holds such a connection does not see what others write later.
    """
    try:
        if os.access(path.parent, os.W_OK) or os.path.lexists(wal_file(path)):
            return False
        with path.open("rb") as file:
            return file.read(_READ_VERSION + 1)[_READ_VERSION:] == _READ_VERSION_OF_WAL
    except OSError:
        return False
