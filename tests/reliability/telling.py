"""Messengers that are tied to their trainers, on purpose: what `control=` of a `Trainer` names."""

import subprocess
import sys
from typing import Any

_TIED = """
import sys
from trainer.notices import messenger
from trainer.proc import die_with_parent
die_with_parent()
messenger.detach = lambda: None
messenger.main(sys.argv[1])
"""


def _tie_the_messenger() -> None:
    """The negative control: a messenger that goes with its trainer, as the watchdog does."""
    from trainer.notices import start

    popen = subprocess.Popen

    def tied(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if "trainer.notices.messenger" in command:
            command = [sys.executable, "-c", _TIED, command[-1]]
        return popen(command, **options)

    class _Subprocess:
        Popen = staticmethod(tied)
        DEVNULL = subprocess.DEVNULL

    vars(start)["subprocess"] = _Subprocess


CONTROLS = {"messenger-tied": _tie_the_messenger}
