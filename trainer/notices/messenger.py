"""`python -m trainer.notices.messenger`: one process for each trainer that tells what becomes of its run.

It looks at the store every two seconds and at the trainer's process at once when that ends. It has a session of its
own and no tie to the trainer, so that whatever kills the trainer leaves it there to tell; then it ends as well. It
holds no lock of the run, imports no torch, and writes to the store only the events by which a happening is told once.
"""

import contextlib
import json
import os
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trainer.addresses import Notify, read_notify
from trainer.errors import TrainerError
from trainer.notices import happenings
from trainer.notices.happenings import Course, Happening, Look
from trainer.process import start_ticks
from trainer.pulse import Pulse
from trainer.signals import TAKEN
from trainer.state import LIVE_STATES, run_state
from trainer.store.reader import StoreReader

if TYPE_CHECKING:
    from trainer.notices.post import Post

POLL_SECONDS = 2.0
PATIENCE_SECONDS = 120.0
"""For which a run may stand still before that is told."""

SETTLE_SECONDS = 3.0
"""After a trainer's end, for its watchdog to record that it hung."""

SUPERVISOR_SECONDS = 180.0
"""For a supervisor to start it again: its longest delay and some more."""

_LOOK_SECONDS = 0.5
"""Between two looks once the trainer is gone."""

_EVENTS, _ALL = 200, -1
"""How many of a run's events are looked at, the newest: again and again, and once at the beginning."""

_TAKEN_UP = LIVE_STATES | {"queued"}
"""States of a run whose trainer is gone and that has another one, or is about to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """What the messenger is told; nothing of it is secret."""

    runs: str
    run_id: str
    pid: int
    start_ticks: int
    pulse: int
    """Descriptor of the trainer's pulse, -1 where there is none."""
    after: int
    """Id of the run's newest event before this trainer began."""
    supervisor: int = 0
    """Process id of the trainer's supervisor, 0 where it has none."""
    supervisor_ticks: int = 0

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The opposite."""
        return cls(**json.loads(text))


class Messenger:
    """Watches one trainer until it has ended and that is told."""

    def __init__(self, errand: Errand, notify: Callable[[], Notify]) -> None:
        """Args: what to watch, and what says where to tell, asked each time: a person may mend an address meanwhile."""
        self._errand = errand
        self._runs = Path(errand.runs)
        self._pulse = Pulse(errand.pulse) if errand.pulse >= 0 else None
        self._course = Course(patience_seconds=PATIENCE_SECONDS, after=errand.after)
        self._last: Look | None = None
        self._post: Post | None = None
        self._notify = notify

    def work(self) -> None:
        """Until there is nothing more to tell."""
        with _end_of(self._errand.pid, self._errand.start_ticks) as is_gone:
            self._tell_of_before()
            is_over = False
            while not is_over and not is_gone(POLL_SECONDS):
                is_over = self._follow()
        if not is_over:
            self._tell_the_end()
        if self._post is not None:
            self._post.finish()

    def _tell_of_before(self) -> None:
        """That the machine went down under the trainer before this one."""
        look = self._look(_ALL)
        booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        lost = happenings.lost_with_the_machine(look.events, self._errand.after, booted_at) if look else None
        if look is not None and lost is not None:
            self._tell(lost, look)

    def _follow(self) -> bool:
        """Tell what has happened while the trainer lives; whether its end was recorded and told."""
        if self._post is not None:
            self._post.again()
        look = self._look(_EVENTS)
        if look is None:
            return False
        end = happenings.recorded_end(look, self._errand.after)
        if end is not None and self._errand.supervisor and end.kind in ("failed", "interrupted"):
            end = None  # the supervisor may start it again
        happening = end or self._course.follow(look)
        if happening is not None:
            self._tell(happening, look)
        return end is not None

    def _tell_the_end(self) -> None:
        """The trainer is gone: wait until it is clear what that means."""
        errand = self._errand
        settled = time.monotonic() + SETTLE_SECONDS
        deadline = time.monotonic() + SUPERVISOR_SECONDS
        while True:
            look = self._look(_EVENTS)
            is_supervised = start_ticks(errand.supervisor) == errand.supervisor_ticks if errand.supervisor else False
            must_wait = is_supervised and time.monotonic() < deadline
            is_settled = time.monotonic() > settled
            if look is not None and look.state in _TAKEN_UP:
                again = happenings.started_again(look, errand.after)
                if again is not None:
                    self._tell(again, look)
                return
            if look is not None and not must_wait:
                end = happenings.end_of_lost(look, errand.after)
                if is_settled or (end is not None and end.is_recorded):
                    if end is not None:
                        self._tell(end, look)
                    return
            elif look is None and not must_wait and is_settled:
                self._tell_without_store()
                return
            time.sleep(_LOOK_SECONDS)

    def _tell_without_store(self) -> None:
        if self._last is not None:
            self._tell(happenings.lost_with_its_store(self._last, self._errand.after), self._last)

    def _look(self, limit: int) -> Look | None:
        """The run with so many of its newest events, None where the store can't be read at this moment."""
        try:
            with contextlib.closing(StoreReader.open(self._runs)) as reader:
                run = reader.run(self._errand.run_id)
                events = reader.events(run_id=run.id, limit=limit)
            state = run_state(run, self._runs)
        except (TrainerError, OSError, sqlite3.Error):
            return None
        phase = self._pulse.read().phase if self._pulse is not None else run.phase or ""
        self._last = Look(run=run, state=state, events=events, phase=phase, at=time.monotonic())
        return self._last

    def _tell(self, happening: Happening, look: Look) -> None:
        if happenings.is_brief(happening, look):
            return
        if self._post is None:
            # Imported here, since most of the time there is nothing to tell and every run has a messenger.
            from trainer.notices.post import Post

            self._post = Post(self._runs, self._errand.run_id, self._notify)
        self._post.tell(happening, look)


@contextlib.contextmanager
def _end_of(pid: int, ticks: int) -> Iterator[Callable[[float], bool]]:
    """Gives a function that waits so many seconds for the end of a process, and says whether it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield lambda _: True
        return
    except OSError:  # a kernel before Linux 5.3, or one that lets nobody ask
        yield partial(_is_gone, pid, ticks)
        return
    is_another = start_ticks(pid) != ticks  # a process id that came round again
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda seconds: is_another or bool(poll.poll(1000 * seconds))
    finally:
        os.close(descriptor)


def _is_gone(pid: int, ticks: int, seconds: float) -> bool:
    time.sleep(seconds)
    return start_ticks(pid) != ticks


def detach() -> None:
    """Be nobody's child from here on."""
    if os.fork():
        os._exit(0)


def main(text: str) -> None:
    """Do an errand. Signals to a trainer's group are not for its messenger."""
    detach()
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    Messenger(Errand.from_json(text), read_notify).work()


if __name__ == "__main__":
    main(sys.argv[1])
