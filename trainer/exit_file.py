"""A file that has the exit code of a trainer whose launcher keeps it to itself, as torchrun does.

It is not there while the trainer lives, nor after one that was killed: whoever finds none knows that.
"""

import os
from pathlib import Path

from trainer.durable import write_durably
from trainer.errors import UsageError


class ExitFile:
    """Written once, in the end."""

    def __init__(self, path: str | None) -> None:
        """Take away what an earlier trainer left.

        Args:
            path: the file, or None for none.

        Raises:
            UsageError: it could not be written later.
        """
        self._path = Path(path).absolute() if path else None
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(
                f"--exit-file: {self._path} can't be written ({error.strerror}); name another one"
            ) from error
        if not os.access(self._path.parent, os.W_OK):
            raise UsageError(f"--exit-file: {self._path.parent} is no folder that can be written; name another one")

    def write(self, code: int) -> None:
        """Write the code with the end of a line: all of it or nothing.

        Raises:
            OSError: the disk refused.
        """
        if self._path is not None:
            write_durably(self._path, f"{int(code)}\n".encode())
