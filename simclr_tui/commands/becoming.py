"""Where a command goes on as a program of the trainer, which has what the dashboard does without."""

import os
import sys
from typing import NoReturn


def become(words: list[str]) -> NoReturn:
    """Be that program from here on, in the same process; what is still to be printed is printed before.

    Args:
        words: its command line, which begins with the path of the interpreter.
    """
    sys.stdout.flush()
    os.execv(words[0], words)
