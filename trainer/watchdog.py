"""The watchdog: a small process of its own that ends a trainer which no longer gets on.

`python -m trainer.watchdog` is started by the trainer, reads its pulse through shared memory, and needs neither the
interpreter's lock nor the store of the process that it watches, so it also sees a hang that holds either. It never
imports torch. It counts only seconds in which the trainer could have run: not those in which it was stopped, the
machine was asleep or the watchdog itself was not let run. First it asks for the stacks of all threads (faulthandler
writes them in C, whatever the interpreter does), later it ends the trainer with exit code 70, so that a supervisor can
start it again (ml-engineering's "is-job-hanging watchdog").
"""

import contextlib
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trainer.errors import ExitCode, TrainerError
from trainer.paths import log_file
from trainer.proc import catches, descendants, die_with_parent, is_stopped, session
from trainer.process import start_ticks
from trainer.pulse import Pulse, Vital

if TYPE_CHECKING:
    from trainer.store.runs import RunStore

STACKS_SIGNAL = signal.SIGUSR2
"""What the trainer answers with the stacks of all its threads."""

HANG_SECONDS = 600.0
"""Silence after which a trainer is ended, where nothing else was set."""

_STACKS_PART = 0.2
"""Part of the limit after which the stacks are asked for."""

_STEPS = {"stacks": 20, "end": 60}
"""Median steps of silence that are always allowed: a step that is slow is no hang."""

_PROMPT_PHASES = ("training", "starting workers")
_PATIENCE = 6
"""Times longer that other phases may take between two beats: importing torch from a cold network disk, verifying a
download, a fit of a library that tells nothing before its end."""

_LONGEST_TICK_SECONDS = 1.0
_GRACE_SECONDS = 10.0
"""From asking the trainer to end itself to SIGKILL."""

_BUSY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """What is watched, as the trainer hands it over."""

    runs: str
    run_id: str
    pid: int
    start_ticks: int
    pulse: int
    """Descriptor of the pulse's memory."""
    end: int
    """Descriptor of a pipe; a byte in it ends the trainer with exit code 70."""
    hang_seconds: float

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The opposite."""
        return cls(**json.loads(text))

    @property
    def log(self) -> Path:
        """Where the stacks are written."""
        return log_file(Path(self.runs), self.run_id)

    @property
    def tick_seconds(self) -> float:
        """Between two looks."""
        return min(_LONGEST_TICK_SECONDS, self.hang_seconds / 50)


class Silence:
    """Seconds since the last beat, counted only while the trainer could have made one."""

    def __init__(self, tick_seconds: float) -> None:
        """Args: how often it is looked at. Of a gap that is much longer nobody knows whether the trainer could run."""
        self._most_seconds = 2 * tick_seconds
        self._beats = -1
        self._at = 0.0
        self._seconds = 0.0

    def look(self, beats: int, *, now: float, counts: bool) -> float:
        """The silence by now.

        Args:
            beats: of the pulse.
            now: seconds of a clock that does not go on while the machine sleeps (CLOCK_MONOTONIC).
            counts: False where the trainer can't be expected to beat.
        """
        passed, self._at = min(now - self._at, self._most_seconds), now
        if beats != self._beats:
            self._beats, self._seconds = beats, 0.0
        elif counts:
            self._seconds += passed
        return self._seconds


def allowed_seconds(what: str, vital: Vital, hang_seconds: float) -> float:
    """Silence after which the `stacks` are asked for, or which is the `end`."""
    patience = 1 if vital.phase in _PROMPT_PHASES else _PATIENCE
    part = _STACKS_PART if what == "stacks" else 1.0
    return max(part * patience * hang_seconds, _STEPS[what] * vital.step_seconds)


def watch(what: Watch) -> None:
    """Watch until the trainer is gone, or has to go."""
    pulse = Pulse(what.pulse)
    silence = Silence(what.tick_seconds)
    has_warned = False
    while os.getppid() == what.pid:
        time.sleep(what.tick_seconds)
        vital = pulse.read()
        counts = vital.phase != "waiting" and not is_stopped(what.pid)
        seconds = silence.look(vital.beats, now=time.monotonic(), counts=counts)
        if seconds == 0 and has_warned:
            has_warned = False
            _tell(what, "info", f"the trainer gets on again, {_at(vital)}")
        if seconds >= allowed_seconds("stacks", vital, what.hang_seconds) and not has_warned:
            has_warned = True
            _ask_for_stacks(what)
            _tell(what, "warning", f"no progress for {seconds:.0f} s while {_at(vital)}; stacks are in {what.log}")
        if seconds >= allowed_seconds("end", vital, what.hang_seconds):
            _ask_for_stacks(what)
            time.sleep(min(1.0, 5 * what.tick_seconds))
            if pulse.read().beats == vital.beats:
                _end(what, f"hung: no progress for {seconds:.0f} s while {_at(vital)}")
                return


def _at(vital: Vital) -> str:
    return f"{vital.phase}, after step {vital.step}"


def _ask_for_stacks(what: Watch) -> None:
    """Have the trainer and its workers write down where each of their threads is."""
    for pid in (what.pid, *descendants(what.pid)):
        if pid != os.getpid() and catches(pid, STACKS_SIGNAL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, STACKS_SIGNAL)


def _end(what: Watch, message: str) -> None:
    """End the trainer with everything that belongs to it, and record why."""
    # From here on the watchdog must not go with the trainer.
    die_with_parent(is_wanted=False)
    children = descendants(what.pid)
    children.pop(os.getpid(), None)
    # A mirror has a session of its own, and tells others of what the trainer leaves behind.
    children = {pid: started for pid, started in children.items() if session(pid) == session(what.pid)}
    # While the trainer lives it holds the run, so no other one can have taken it up. The store may be locked by the
    # very transaction that hangs, and is then free when the trainer is gone.
    recorded = _record(what, message)
    with contextlib.suppress(OSError):
        os.write(what.end, b"x")
    _wait_until_gone(what)
    for pid, started in children.items():
        if start_ticks(pid) == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if not recorded:
        _record(what, message)


def _wait_until_gone(what: Watch) -> None:
    """Give the trainer time to end itself; one whose interpreter is stuck can't."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while os.getppid() == what.pid:
        if time.monotonic() > deadline:
            os.kill(what.pid, signal.SIGKILL)
        time.sleep(0.05)


def _record(what: Watch, message: str) -> bool:
    """Record that the trainer hung and was ended, if the run is still its own; whether the store could be asked."""
    where = f"stacks are in {what.log}"
    messages = {
        "hung": f"{message}; {where}",
        "failed": f"{message}, ended by its watchdog; resume goes on from the last checkpoint, {where}",
    }
    end = {"lifecycle": "failed", "lifecycle_at": time.time(), "exit_code": int(ExitCode.HUNG)}
    event = "INSERT INTO events (run_id, at, level, kind, message, step) VALUES (?, ?, 'error', ?, ?, NULL)"
    try:
        with _store(what) as store, store._write(durable=True) as connection:
            changed = connection.execute(
                f"UPDATE runs SET {', '.join(f'{name} = ?' for name in end)} WHERE id = ? AND pid = ?"
                " AND start_ticks = ? AND lifecycle IN ('started', 'resumed')",
                (*end.values(), what.run_id, what.pid, what.start_ticks),
            ).rowcount
            for kind, words in messages.items() if changed else ():
                connection.execute(event, (what.run_id, time.time(), kind, words))
    except (TrainerError, sqlite3.Error):
        return False
    return True


def _tell(what: Watch, level: str, message: str) -> None:
    """Record a sign of a hang as an event; a store that can't be written is no reason not to go on watching."""
    with contextlib.suppress(TrainerError, sqlite3.Error), _store(what) as store:
        store.event(what.run_id, "hung", message, level=level)


@contextlib.contextmanager
def _store(what: Watch) -> "Iterator[RunStore]":
    """The store, which is waited for only for a moment. Imported here, since it is hardly ever needed."""
    from trainer.store.runs import RunStore

    with contextlib.closing(RunStore.open(Path(what.runs))) as store:
        store.wait_at_most(_BUSY_SECONDS)
        yield store


def main(text: str) -> None:
    """Watch what the command line says, and never outlive it."""
    die_with_parent()
    watch(Watch.from_json(text))


if __name__ == "__main__":
    main(sys.argv[1])
