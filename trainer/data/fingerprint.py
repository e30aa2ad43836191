"""Short digests that change when a data set changes, cheap enough to take at each start."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

_STRETCHES = 8
_STRETCH_BYTES = 4096


def of_texts(texts: Iterable[str]) -> str:
    """SHA-256 over some texts in their order, in hexadecimal."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the name, the size and eight short stretches of each file, in hexadecimal.

    Raises:
        OSError: a file can't be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        size_bytes = path.stat().st_size
        digest.update(f"{path.name} {size_bytes}\0".encode())
        with path.open("rb") as file:
            for stretch in range(_STRETCHES):
                file.seek(size_bytes * stretch // _STRETCHES)
                digest.update(file.read(_STRETCH_BYTES))
    return digest.hexdigest()
