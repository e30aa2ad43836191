"""What a messenger does with a happening: take it on, say it, send it, and try again where a server was away."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainer.addresses import UNTOLD, Address, Notify, NotifyError
from trainer.errors import TrainerError
from trainer.notices.delivery import Message, deliver
from trainer.notices.happenings import END, Happening, Look
from trainer.notices.send import PASSING
from trainer.notices.words import compose
from trainer.store.notices import NOTICE, claim
from trainer.store.reader import StoreReader
from trainer.store.records import Evaluation
from trainer.store.runs import RunStore

AGAIN_SECONDS = (60.0, 600.0)
"""After which an address is tried again whose server could not be reached."""

_BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message to addresses that have not taken it yet."""

    message: Message
    to: tuple[Address, ...]
    tries: int
    due: float


class Post:
    """The notices of one run."""

    def __init__(self, runs: Path, run_id: str, notify: Callable[[], Notify]) -> None:
        """Args: the runs folder, the run, and what says what a person wants to be told of and where."""
        self._runs = runs
        self._run_id = run_id
        self._read = notify
        self._told: set[tuple[str, int]] = set()
        self._left: list[_Letter] = []

    def tell(self, happening: Happening, look: Look) -> None:
        """Tell it, if a person wants to hear of it and nobody has told it."""
        try:
            notify = self._read()
        except NotifyError as error:
            self._record(f"{UNTOLD}: {error}")
            return
        key = (happening.label, happening.after)
        if not notify.to or happening.kind not in notify.on or (happening.seconds is None and key in self._told):
            return
        self._told.add(key)
        left = self._claim(happening, notify)
        if left is None or left < 0:
            return
        message = compose(happening, look, self._runs, evaluations=self._evaluations(look), left=left)
        self._send(_Letter(message, notify.to, 0, time.monotonic()))

    def again(self) -> None:
        """Try once more what is due."""
        now = time.monotonic()
        due = [letter for letter in self._left if letter.due <= now]
        self._left = [letter for letter in self._left if letter.due > now]
        for letter in due:
            self._send(letter)

    def finish(self) -> None:
        """Try what is left until it has arrived or is given up."""
        while self._left:
            time.sleep(max(0.0, min(letter.due for letter in self._left) - time.monotonic()))
            self.again()

    def _claim(self, happening: Happening, notify: Notify) -> int | None:
        """See `trainer.store.notices.claim`."""
        names = ", ".join(address.name for address in notify.to)
        # Runs that have much to say leave the other half to the ends of all.
        most = notify.per_hour if happening.label == END else max(1, notify.per_hour // 2)
        after, seconds = happening.after, happening.seconds
        try:
            with _writable(self._runs) as store:
                return claim(store, self._run_id, happening.label, names, after=after, seconds=seconds, per_hour=most)
        except (TrainerError, sqlite3.Error):
            return 1  # a full disk or a lost store is what a person should hear of all the more

    def _evaluations(self, look: Look) -> list[Evaluation]:
        """What the run found of another one."""
        if look.run.kind != "evaluate" or not look.run.source_run_id:
            return []
        with contextlib.suppress(TrainerError, sqlite3.Error):
            with contextlib.closing(StoreReader.open(self._runs)) as reader:
                rows = reader.evaluations(look.run.source_run_id)
            return [row for row in rows if row.job_id == look.run.id]
        return []

    def _send(self, letter: _Letter) -> None:
        came = deliver(letter.message, letter.to)
        failed = {name: why for name, why in came.items() if why}
        passing = letter.tries < len(AGAIN_SECONDS)
        later = tuple(one for one in letter.to if passing and failed.get(one.name) in PASSING)
        if later:
            due = time.monotonic() + AGAIN_SECONDS[letter.tries]
            self._left.append(_Letter(letter.message, later, letter.tries + 1, due))
        for name in failed.keys() - {one.name for one in later}:
            self._record(f"{name} was not told “{letter.message.title}”: {failed[name]}")

    def _record(self, sentence: str) -> None:
        with contextlib.suppress(TrainerError, sqlite3.Error), _writable(self._runs) as store:
            store.run(self._run_id)  # it may be deleted by now
            store.event(self._run_id, NOTICE, sentence, level="warning")


@contextlib.contextmanager
def _writable(runs: Path) -> Iterator[RunStore]:
    """The store, which is waited for only for a moment."""
    with contextlib.closing(RunStore.open(runs)) as store:
        store.wait_at_most(_BUSY_SECONDS)
        yield store
