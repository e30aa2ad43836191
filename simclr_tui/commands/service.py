"""`service`: a systemd user unit that brings runs back after a reboot."""

import argparse
import os
import sys
from pathlib import Path

from simclr_tui.commands.output import say
from trainer.device_lock import FOLDER_VARIABLE
from trainer.errors import ExitCode, UsageError
from trainer.paths import typed_path

UNIT_NAME = "simclr-tui.service"

_UNIT = """\
# Resumes the runs of a folder that a reboot has interrupted, those in line in their order.
# Made by `simclr-tui service --install`; systemd.service(5) and systemd.kill(5) explain each line.
[Unit]
Description=Resume interrupted SimCLR runs

[Service]
# Done once everything is started; active from then on, since the end of a unit ends what it has started.
Type=oneshot
RemainAfterExit=yes
# Stopping or restarting the unit leaves the trainers alone: pause and stop end a run.
KillMode=process
{environment}ExecStart={command}

[Install]
WantedBy=default.target
"""


def service(options: argparse.Namespace, runs: Path) -> int:
    """Print the unit, or put it where systemd looks for it and say how it is enabled."""
    text = unit(Path(sys.executable), runs, os.environ.get(FOLDER_VARIABLE))
    if not options.install:
        print(text, end="")  # noqa: T201
        return ExitCode.FINISHED
    path = unit_path()
    _write(path, text)
    say(f"{path} resumes the runs of {runs} at boot once you have given these two commands:")
    say(f"  systemctl --user enable {UNIT_NAME}")
    say("  loginctl enable-linger")
    say("Without the second one your units start only when you log in, and end when you log out.")
    return ExitCode.FINISHED


def unit_path() -> Path:
    """Where a user's own units lie (systemd.unit(5))."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return typed_path(config).absolute() / "systemd" / "user" / UNIT_NAME


def unit(python: Path, runs: Path, locks: str | None) -> str:
    """The text of the unit.

    Args:
        python: the interpreter that has this program.
        runs: the runs folder.
        locks: folder of the device locks where it is not the usual one.

    Raises:
        UsageError: a path can't be written into a unit.
    """
    if set(str(python)) & set("\"'\\"):
        raise UsageError(f"{python} can't start a systemd unit, since its path has a quote or a backslash; move it")
    words = [quoted(word) for word in (str(python), "-m", "simclr_tui", "--runs-dir", str(runs), "resume", "--all")]
    # The colon: a dollar in a path is no variable.
    command = ":" + " ".join(words)
    environment = f"Environment={quoted(f'{FOLDER_VARIABLE}={locks}')}\n" if locks else ""
    return _UNIT.format(command=command, environment=environment)


def quoted(word: str) -> str:
    """A word as systemd reads it back: quotes, C escapes, and no specifier (systemd.syntax(7), systemd.unit(5)).

    Raises:
        UsageError: it holds bytes that are no UTF-8, or a control character.
    """
    if any(ord(letter) < 32 or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in word):
        raise UsageError(f"{word!r} can't be named in a systemd unit; choose a path without control characters")
    if word and all(letter.isalnum() or letter in "/._-=:+,@" for letter in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _write(path: Path, text: str) -> None:
    """Make the file; one that says something else is another person's work and stays.

    Raises:
        UsageError: there is such a file, or the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.exists():
            if path.read_text() == text:
                return
            raise UsageError(f"{path} is there already and says something else; look at it, and move it away first")
        path.write_text(text)
    except OSError as error:
        raise UsageError(f"{path} can't be written ({error.strerror}); check the folder") from error
