"""What libraries should not import on the way."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_pandas() -> Iterator[None]:
    """Import without it: sqlite-utils looks for its types where it is installed, which takes a third of a second."""
    is_hidden = "pandas" not in sys.modules
    if is_hidden:
        sys.modules["pandas"] = None  # type: ignore[assignment]  # by which the import system knows of no such module
    try:
        yield
    finally:
        if is_hidden:
            del sys.modules["pandas"]
