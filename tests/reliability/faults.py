"""Faults at the n-th call that changes the disk, in a real trainer process.

The calls are counted from the last step of an epoch to the first of the next one: steps committed, the epoch's row,
the checkpoint and its manifest written, announced, and older ones pruned. Every call of `os` that changes a file or a
name is one, and every statement that SQLite is given; what SQLite does below a statement is SQLite's own to prove
(sqlite.org/testing.html, from where the method comes: fail the n-th, for every n, until it passes).

A process that is killed loses nothing that `write` has taken, so it can't see a missing fsync. A power cut can: here it
is a process that ends after its files have lost every byte that was not synced, and in the other variant every name
that the folder's sync had not made safe.
"""

import errno
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRST_STEP = 3
"""The last step of the first epoch, at whose end the counting begins; it ends at the next step."""

KILL, TORN, NO_SPACE, IO_ERROR, STAYS_FULL = "kill", "torn", "no space", "i/o error", "stays full"
CUT_BYTES, CUT_NAMES = "power cut, bytes lost", "power cut, names lost"
ENDING = (KILL, TORN, CUT_BYTES, CUT_NAMES)
"""Modes that end the process."""
RAISING = (NO_SPACE, IO_ERROR, STAYS_FULL)
"""Modes after which the same process goes on, or ends with a sentence."""

_FULL_FOR = 12
"""Calls for which a disk that stays full is full."""

_SQLITE_SAYS = {errno.ENOSPC: "database or disk is full", errno.EIO: "disk I/O error"}
_THREADS_ASIDE = ("monitor", "backup", "watchdog")
"""Threads of a trainer that write on their own time; what they call is not counted, so n is the same call each time."""


@dataclass(slots=True)
class Plan:
    """Which call fails, and how."""

    at: int
    """Of the calls that the mode counts, from 1; 0 only counts."""
    mode: str
    report: Path
    """Written when the call is reached: what it was. And when the counting ends: how many there were."""
    thread: str = ""
    """The one thread whose calls are counted; without a name those of all but `_THREADS_ASIDE` are."""
    armed: bool = False
    count: int = 0
    last: str = ""
    calls: list[str] = field(default_factory=list)

    def counts(self, name: str) -> bool:
        """Whether a call of that name is one that this mode looks at: one that can fail so, or leave another disk."""
        if self.mode == TORN:
            return name == "write"
        if self.mode in (CUT_BYTES, CUT_NAMES):
            return name in ("write", "fsync", "replace", "rename", "unlink")
        return self.mode == IO_ERROR or name != "sqlite read"

    def note(self, text: str) -> None:
        """Add a line to the report, by a descriptor that is not watched."""
        with self.report.open("a") as file:
            file.write(text + "\n")


class Faults:
    """The calls of one process, watched."""

    def __init__(self, plan: Plan, side: Path) -> None:
        """Args: the plan, and a folder beside the runs folder for what a power cut brings back."""
        self.plan = plan
        self.real = {name: getattr(os, name) for name in ("open", "write", "fsync", "replace", "rename", "unlink")}
        self._disk = _Disk(side, self.real)

    def install(self) -> None:
        """Put the watch over every way to the disk."""
        for name in self.real:
            setattr(os, name, self._watched(name))
        connect = sqlite3.connect
        faults = self

        class Watched(sqlite3.Connection):
            def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                faults.reach(_kind_of(sql), sql)
                return super().execute(sql, *rest)

            def executemany(self, sql: str, *rest: Any) -> sqlite3.Cursor:
                faults.reach(_kind_of(sql), sql)
                return super().executemany(sql, *rest)

        sqlite3.connect = lambda *args, **options: connect(*args, **{"factory": Watched} | options)

    def _watched(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if name == "open" and not args[1] & os.O_CREAT:
                return self.real[name](*args, **options)
            if self.reach(name, str(args[0]), args):
                return self.real[name](args[0], bytes(args[1])[: len(args[1]) // 2])
            if self.plan.armed:
                self._disk.before(name, args)
            result = self.real[name](*args, **options)
            if self.plan.armed:
                self._disk.after(name, args)
            return result

        return call

    def reach(self, name: str, what: str, args: tuple[Any, ...] = ()) -> bool:
        """Count a call and fail where the plan says so; True where only half of it is to be done."""
        plan = self.plan
        thread = threading.current_thread().name
        is_aside = thread != plan.thread if plan.thread else thread in _THREADS_ASIDE
        if not plan.armed or is_aside or not plan.counts(name):
            return False
        last, plan.last = plan.last, name
        if plan.mode == KILL and name == last == "sqlite INSERT":
            return False  # between two rows of a transaction the disk is as it was before the first
        plan.count += 1
        plan.calls.append(name)
        if not plan.at or plan.count < plan.at:
            return False
        is_first = plan.count == plan.at
        if is_first:
            plan.note(f"reached {plan.count}: {name} {' '.join(what.split())[:80]}")
        if plan.mode in ENDING and is_first:
            self._end(name, args)
        if (plan.mode in RAISING and is_first) or (plan.mode == STAYS_FULL and plan.count < plan.at + _FULL_FOR):
            return self._refuse(name)
        return False

    def _end(self, name: str, args: tuple[Any, ...]) -> None:
        if self.plan.mode == TORN:
            self.real["write"](args[0], bytes(args[1])[: len(args[1]) // 2])
        if self.plan.mode in (CUT_BYTES, CUT_NAMES):
            self._disk.cut(with_names=self.plan.mode == CUT_NAMES)
        os.kill(os.getpid(), signal.SIGKILL)

    def _refuse(self, name: str) -> bool:
        number = errno.EIO if self.plan.mode == IO_ERROR else errno.ENOSPC
        if name.startswith("sqlite"):
            raise sqlite3.OperationalError(_SQLITE_SAYS[number])
        if name == "write" and self.plan.mode == NO_SPACE:
            return True  # what a disk that gets full does first; the rest of the bytes comes with the next call
        if name == "unlink" and number == errno.ENOSPC:
            return False  # needs no space
        raise OSError(number, os.strerror(number))

    def arm(self, step: int) -> None:
        """Begin and end the counting, as the step says."""
        if self.plan.armed and step > FIRST_STEP:
            kinds = sorted(set(self.plan.calls))
            self.plan.note(f"passed {self.plan.count}: {', '.join(f'{k} {self.plan.calls.count(k)}' for k in kinds)}")
        self.plan.armed = step == FIRST_STEP


def _kind_of(sql: str) -> str:
    word = sql.split(None, 1)[0].upper()
    reads = word in ("SELECT", "WITH") or (word == "PRAGMA" and "=" not in sql)
    return "sqlite read" if reads else f"sqlite {word}"


class _Disk:
    """What would be lost if the power went now."""

    def __init__(self, side: Path, real: dict[str, Callable[..., Any]]) -> None:
        """Args: a folder for links that keep what was replaced or deleted, and the real calls."""
        self._side = side
        self._real = real
        self._unsynced: dict[int, Path] = {}
        self._pending: list[tuple[Path, Callable[[], None]]] = []
        self._kept = 0

    def before(self, name: str, args: tuple[Any, ...]) -> None:
        """Remember what a call is about to change, so that it can be taken back."""
        if name == "open" and not Path(args[0]).exists():
            path = Path(args[0])
            self._pending.append((path.parent, lambda: self._drop(path)))
        if name in ("replace", "rename"):
            source, target = Path(args[0]), Path(args[1])
            kept = self._keep(target)
            self._pending.append((target.parent, lambda: self._undo_replace(source, target, kept)))
        if name == "unlink" and Path(args[0]).is_file():
            gone = Path(args[0])
            kept = self._keep(gone)
            self._pending.append((gone.parent, lambda: self._bring_back(kept, gone)))

    def after(self, name: str, args: tuple[Any, ...]) -> None:
        """Note what is not safe yet, or has become so."""
        if name == "write":
            self._unsynced[os.fstat(args[0]).st_ino] = _path_of(args[0])
        if name in ("replace", "rename"):
            self._unsynced = {
                inode: Path(args[1]) if path == Path(args[0]) else path for inode, path in self._unsynced.items()
            }
        if name == "fsync":
            self._unsynced.pop(os.fstat(args[0]).st_ino, None)
            folder = _path_of(args[0])
            self._pending = [entry for entry in self._pending if entry[0] != folder]

    def cut(self, *, with_names: bool) -> None:
        """Lose what is not safe."""
        for path in self._unsynced.values():
            if path.exists():
                os.truncate(path, 0)
        for _, undo in reversed(self._pending if with_names else []):
            undo()

    def _keep(self, path: Path) -> Path | None:
        if not path.is_file():
            return None
        self._side.mkdir(exist_ok=True)
        self._kept += 1
        kept = self._side / str(self._kept)
        os.link(path, kept)
        return kept

    def _drop(self, path: Path) -> None:
        if path.exists():
            self._real["unlink"](path)

    def _undo_replace(self, source: Path, target: Path, kept: Path | None) -> None:
        if target.exists():
            self._real["replace"](target, source)
        self._bring_back(kept, target)

    def _bring_back(self, kept: Path | None, path: Path) -> None:
        if kept is not None and not path.exists():
            os.link(kept, path)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()
