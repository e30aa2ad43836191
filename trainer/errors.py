"""Errors that a person can cause and mend, each one sentence and one exit code.

    TrainerError                 1   something went wrong that is not a bug
    ├── UsageError               2   a setting, name or argument is wrong
    │   ├── ConfigError          2   a setting is out of bounds; names the setting
    │   ├── UnknownRunError      2   no run of that id or name
    │   └── DataError            2   a data set is missing, broken or of the wrong shape
    ├── StoreError               1   the run store cannot be opened, read or written
    │   └── StoreVersionError    1   the store was made by a newer version
    ├── StoreLostError           1   the store's files went away while it was open
    ├── CheckpointError          1   no checkpoint verifies, or one cannot be written
    ├── NonFiniteError           1   the loss or its gradient is not finite
    └── BusyError               75   another trainer holds the run; try again

The entry points print the sentence alone; a traceback is only ever shown for a bug. Exit codes follow
sysexits.h where it has one (70 is EX_SOFTWARE, 75 is EX_TEMPFAIL).
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a process's exit status says to scripts, supervisors and Slurm."""

    FINISHED = 0
    FAILED = 1
    USAGE = 2
    HUNG = 70
    TRY_AGAIN = 75
    SIGINT = 130
    SIGTERM = 143

    @property
    def meaning(self) -> str:
        """What it says, for the list in the docs."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.FINISHED: "finished, or stopped on request",
    ExitCode.FAILED: "failed; the sentence says why",
    ExitCode.USAGE: "wrong usage or settings; nothing was begun",
    ExitCode.HUNG: "hung, and ended by its own watchdog; resume goes on",
    ExitCode.TRY_AGAIN: "paused, or could not start now; try again",
    ExitCode.SIGINT: "ended by SIGINT with everything saved",
    ExitCode.SIGTERM: "ended by SIGTERM with everything saved",
}


class TrainerError(Exception):
    """Base of every error whose message is meant for the person at the keyboard."""

    exit_code = ExitCode.FAILED


class UsageError(TrainerError):
    """The command line, a name or a setting is wrong."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A setting is out of bounds; `setting` is its name so that a form can show the sentence beside the field."""

    def __init__(self, setting: str, reason: str) -> None:
        """Args: the setting's name as the command line spells it, and the reason with the remedy."""
        super().__init__(f"--{setting.replace('_', '-')}: {reason}")
        self.setting = setting
        self.reason = reason


class UnknownRunError(UsageError):
    """No run has that id or name."""


class DataError(UsageError):
    """A data set is missing, broken, empty or of the wrong shape."""


class StoreError(TrainerError):
    """The run store cannot be opened, read or written."""


class StoreVersionError(StoreError):
    """The store was made by a newer version of this program."""


class StoreLostError(TrainerError):
    """The store's files were removed, replaced or emptied while it was open.

    No StoreError, which a trainer survives: going on would write what nobody can ever read.
    """


class CheckpointError(TrainerError):
    """No checkpoint verifies, or one cannot be written."""


class NonFiniteError(TrainerError):
    """The loss or its gradient became NaN or infinite."""


class BusyError(TrainerError):
    """Another trainer holds the run, or the resource is taken for now."""

    exit_code = ExitCode.TRY_AGAIN
