"""Files that a crash leaves either as they were or as they should be."""

import os
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Put bytes at a path so that a crash leaves the old content or the new one, never a part.

    Raises:
        OSError: the disk refused; the temporary file is removed again.
    """
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
