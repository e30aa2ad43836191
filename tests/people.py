"""Two people on one machine: real users, whose processes have their own uid, groups and umask."""

import functools
import grp
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]
_ACCOUNTS = ("daemon", "games")
"""Accounts that every Linux has, and that nobody logs in by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A user with what the processes of a shell of theirs would have."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    home: Path

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """A process of theirs, by default with what it says to be read."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            words,
            user=self.uid,
            group=self.gid,
            extra_groups=list(self.groups),
            umask=self.umask,
            env=_environment(self.home),
            cwd="/",
            text=True,
            **pipes | options,
        )

    def do(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of theirs to its end."""
        process = self.start(*words)
        out, said = process.communicate(timeout=100)
        return subprocess.CompletedProcess(words, process.returncode, out, said)

    def tui(self, runs: Path, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of the dashboard's program."""
        return self.do(python(), "-m", "simclr_tui", verb, "--runs-dir", str(runs), *words)

    def python(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run some lines of Python, which must end well."""
        done = self.do(python(), "-c", code, *words)
        assert done.returncode == 0, done.stderr
        return done


def _environment(home: Path) -> dict[str, str]:
    packages = [path for path in sys.path if path.endswith("-packages")]
    kept = {name: os.environ[name] for name in ("SIMCLR_TUI_LOCKS", "OMP_NUM_THREADS") if name in os.environ}
    return kept | {
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TERM": "dumb",
    }


@functools.cache
def python() -> str:
    """An interpreter of this version that others may run: a person's own lies in a home that is closed to them."""
    version = sysconfig.get_python_version()
    candidates = [sys.executable, *(f"{folder}/python{version}" for folder in ("/usr/bin", "/usr/local/bin"))]
    account = pwd.getpwnam(_ACCOUNTS[0])
    for candidate in filter(os.path.exists, candidates):
        command = [candidate, "-c", "import trainer.store, textual, sqlite_utils"]
        try:
            done = subprocess.run(
                command,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
                env=_environment(Path("/nonexistent")),
                cwd="/",
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if not done.returncode:
            return candidate
    return pytest.skip("other users can't run an interpreter of this version with this project's packages")


@contextmanager
def shared_box(*, umasks: Sequence[int] = (0o022, 0o022)) -> Iterator[tuple[Path, Person, Person]]:
    """A folder that everybody may enter, and two people who share a group; skips the test where only root could.

    Args:
        umasks: of the two.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can start processes of other users")
    accounts = [pwd.getpwnam(name) for name in _ACCOUNTS]
    group = grp.getgrnam("users").gr_gid
    box = Path(tempfile.mkdtemp(prefix="shared-box-"))
    box.chmod(0o755)
    python()
    people = []
    for account, umask in zip(accounts, umasks, strict=True):
        home = box / account.pw_name
        home.mkdir(mode=0o755)
        os.chown(home, account.pw_uid, account.pw_gid)
        one = Person(
            name=account.pw_name, uid=account.pw_uid, gid=account.pw_gid, groups=(group,), umask=umask, home=home
        )
        people.append(one)
    try:
        yield box, people[0], people[1]
    finally:
        shutil.rmtree(box)


def shared_folder(box: Path, *, mode: int = 0o2770) -> Path:
    """A runs folder of the group that both are in, as an administrator makes it."""
    runs = box / "runs"
    runs.mkdir()
    os.chown(runs, 0, grp.getgrnam("users").gr_gid)
    runs.chmod(mode)
    return runs
