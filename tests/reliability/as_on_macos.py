"""A trainer without what Linux alone has, as far as that can be taken away here; a program for `test_other_systems`.

Loader workers are spawned, as they are on macOS, and take the same away from themselves as they import this.
"""

import ctypes
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

from trainer import elsewhere

_GLIBC = ("prctl", "mallopt", "malloc_trim", "mallinfo2")


class _OtherLibrary(ctypes.CDLL):
    """A C library without what glibc alone has."""

    def __getattr__(self, name: str) -> Any:
        if name in _GLIBC:
            raise AttributeError(name)
        return super().__getattr__(name)


ctypes.CDLL = _OtherLibrary  # type: ignore[misc]
del os.sched_getaffinity, os.posix_fadvise
elsewhere.PROC = Path("/nowhere")

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    from trainer.run import main

    sys.exit(main(sys.argv[1:]))
