"""Two people on one machine: real users, whose processes have their own uid, groups and umask."""

import functools
import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_ACCOUNTS = ("daemon", "games")
"""Accounts that every Linux has, and that nobody logs in by."""


_SHELL = """
import json, os, runpy, signal, socket, sys
import sqlite_utils
import trainer.device_lock, trainer.queue, trainer.start, trainer.store.migrations, trainer.trash
import simclr_tui.commands.labelling, simclr_tui.commands.listing, simclr_tui.commands.ending

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
asked = socket.socket(fileno=0)

def work(job, descriptors):
    for number in range(3):
        os.dup2(descriptors[number], number)
    for number in descriptors:
        os.close(number)
    sys.stdin, sys.stdout, sys.stderr = open(0, closefd=False), open(1, "w", closefd=False), open(2, "w", closefd=False)
    os.umask(job["umask"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = ["-c", *job["words"]]
    try:
        if job["code"]:
            exec(compile(job["code"], "<code>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_module("simclr_tui", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code or 0
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0

while True:
    data, descriptors, _, _ = socket.recv_fds(asked, 1 << 16, 4)
    if not data:
        os._exit(0)  # without what an interpreter clears away
    if not os.fork():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child = os.fork()
        if not child:
            code = work(json.loads(data), descriptors)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        for number in descriptors[:3]:
            os.close(number)
        os.write(descriptors[3], b"%d " % child)
        os.write(descriptors[3], b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    for number in descriptors:
        os.close(number)
"""
"""Forks a process for each job, so that a process of another user takes no second to import what it needs."""

_shells: dict[tuple[int, int, tuple[int, ...]], tuple[socket.socket, subprocess.Popen[bytes]]] = {}


class Started:
    """A process of a person."""

    def __init__(self, person: "Person", code: str, words: Sequence[str]) -> None:
        """Start it: lines of Python, or a command line of the dashboard's program where there are none."""
        ours, theirs = [], []
        for is_input in (True, False, False, False):
            ends = os.pipe()
            theirs.append(ends[0] if is_input else ends[1])
            ours.append(ends[1] if is_input else ends[0])
        job = {"code": code, "words": words, "umask": person.umask, "environment": _environment(person.home)}
        socket.send_fds(_shell(person), [json.dumps(job).encode()], theirs)
        for number in theirs:
            os.close(number)
        self._input = os.fdopen(ours[0], "w")
        self._out, self._said, self._end = (os.fdopen(number, "r") for number in ours[1:])
        self.pid = int("".join(iter(lambda: self._end.read(1), " ")))

    def line(self) -> str:
        """The next line that it prints."""
        return self._out.readline().strip()

    def talk(self) -> str:
        """What it answers to a line."""
        self._input.write("\n")
        self._input.flush()
        return self.line()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Give it nothing more to read, and wait for its end."""
        self._input.close()
        out, said, code = self._out.read(), self._said.read(), int(self._end.read())
        for file in (self._out, self._said, self._end):
            file.close()
        return subprocess.CompletedProcess((), code, out, said)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A user with what the processes of a shell of theirs would have."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    home: Path

    def start(self, code: str, *words: str) -> Started:
        """A process of theirs that takes some lines of Python."""
        return Started(self, code, words)

    def tui(self, runs: Path, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a verb of the dashboard's program to its end."""
        return Started(self, "", [verb, "--runs-dir", str(runs), *words]).wait()

    def do(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run some lines of Python to their end."""
        return self.start(code, *words).wait()

    def program(self, *words: str) -> subprocess.Popen[str]:
        """A program of its own, with a command line that others see; the interpreter's words are given."""
        return subprocess.Popen(
            [python(), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=self.uid,
            group=self.gid,
            extra_groups=list(self.groups),
            umask=self.umask,
            env=_environment(self.home),
            cwd="/",
            text=True,
        )

    def python(self, code: str, *words: str) -> str:
        """What some lines of Python print, which must end well."""
        done = self.do(code, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _shell(person: Person) -> socket.socket:
    """What starts the processes of a person, in this test process."""
    who = (person.uid, person.gid, person.groups)
    if who not in _shells:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        shell = subprocess.Popen(
            [python(), "-c", _SHELL],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            user=person.uid,
            group=person.gid,
            extra_groups=list(person.groups),
            env=_environment(person.home),
            cwd="/",
        )
        theirs.close()
        _shells[who] = (ours, shell)
    return _shells[who][0]


def end_shells() -> None:
    """End what starts people's processes."""
    for asked, shell in _shells.values():
        asked.close()
        shell.wait()
    _shells.clear()


def root(box: Path) -> Person:
    """The user who may do everything."""
    return Person(name="root", uid=0, gid=0, home=box)


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
        command = [candidate, "-c", "import trainer.paths, sqlite3, rich"]
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
