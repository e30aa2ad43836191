"""What the run was asked to do, by a signal or through the store, as one word, and what it tells of its progress.

Pause, stop, SIGTERM and SIGINT all finish the step, write the same checkpoint and exit; what differs is the word that
is recorded and the exit code.
"""

import contextlib
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from trainer.errors import ExitCode, StoreError, StoreLostError
from trainer.pulse import PHASES as PHASES
from trainer.pulse import Pulse
from trainer.signals import Signals
from trainer.store.connect import is_passing
from trainer.store.runs import RunStore

POLL_SECONDS = 0.5


class Intent(Enum):
    """Why a run ends before it is finished: the lifecycle event, the sentence and the exit code."""

    PAUSE = ("paused", "paused on request; resume goes on from here", ExitCode.TRY_AGAIN)
    STOP = ("stopped", "stopped on request; resume by name goes on from here", ExitCode.FINISHED)
    TERMINATE = ("interrupted", "ended by SIGTERM with everything saved", ExitCode.SIGTERM)
    INTERRUPT = ("interrupted", "ended by SIGINT with everything saved", ExitCode.SIGINT)
    OUT_OF_TIME = ("interrupted", "ended by SIGXCPU, its limit of CPU time, with everything saved", ExitCode.SIGTERM)
    RANK_LOST = ("interrupted", "ended by the loss of another rank with everything saved", ExitCode.TRY_AGAIN)
    REQUEUE = ("interrupted", "saved and ended by SIGUSR1, to be queued again", ExitCode.TRY_AGAIN)

    def __init__(self, lifecycle: str, message: str, exit_code: ExitCode) -> None:
        """Name the parts of the value."""
        self.lifecycle = lifecycle
        self.message = message
        self.exit_code = exit_code

    @property
    def unsaved(self) -> str:
        """The sentence where no checkpoint could be written at the end."""
        how = self.message.removesuffix(" with everything saved").replace("saved and ended", "ended").rstrip(",")
        return f"{how}; its end could not be saved, so the steps since the last checkpoint will run again"


class EndRequested(Exception):  # noqa: N818 - it is no error: the run was asked to end and has saved itself
    """Raised where a run gives way to an intent."""

    def __init__(self, intent: Intent, *, is_saved: bool = True) -> None:
        """Args: what was asked for, and whether nothing was done since the last checkpoint."""
        self.intent = intent
        self.message = intent.message if is_saved else intent.unsaved
        super().__init__(self.message)


_INTENTS: dict[int, Intent] = {
    signal.SIGTERM: Intent.TERMINATE,
    signal.SIGINT: Intent.INTERRUPT,
    signal.SIGXCPU: Intent.OUT_OF_TIME,
    signal.SIGUSR1: Intent.REQUEUE,
}


def intent_of(signals: Signals) -> Intent | None:
    """What a signal asked for, if one came. Looks at nothing but memory."""
    return None if signals.ending is None else _INTENTS[signals.ending]


class Control:
    """The one place that knows whether the run should go on."""

    def __init__(
        self, store: RunStore, run_id: str, *, signals: Signals | None = None, pulse: Pulse | None = None
    ) -> None:
        """Args: the store and run whose commands are polled; the signals and the pulse of the process, where it has
        them already."""
        self._store = store
        self._run_id = run_id
        self._signals = signals or Signals()
        self._signals.run_id = run_id
        self.pulse = pulse or Pulse()
        self._polled_at = 0.0
        self._command: Intent | None = None
        self._phase = PHASES[0]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say what the trainer is at meanwhile; each beginning and end of a phase is progress."""
        before = self._phase
        self._enter(name)
        try:
            yield
        finally:
            self._enter(before)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self.pulse.enter(phase)

    def beat(self, step: int | None = None) -> None:
        """Note that the trainer gets on: a step was taken, or a piece of other work is done. Costs next to nothing."""
        self.pulse.beat(step)

    def pace(self, step_seconds: float | None) -> None:
        """Say how long a step takes (median, seconds), by which is judged what takes too long."""
        if step_seconds is not None:
            self.pulse.pace(step_seconds)

    def listen(self) -> None:
        """Take over the signals of the process."""
        self._signals.listen()

    def signalled(self) -> Intent | None:
        """What a signal asked for, if one came. Looks at nothing but memory."""
        return intent_of(self._signals)

    def intent(self) -> Intent | None:
        """What was asked for, if anything; looks into the store at most twice a second."""
        signalled = self.signalled()
        if signalled is not None:
            return signalled
        now = time.monotonic()
        if now - self._polled_at >= POLL_SECONDS:
            self._polled_at = now
            self._poll()
        return self._command

    def _poll(self) -> None:
        try:
            names = [command.command for command in self._store.pending_commands(self._run_id)]
        except StoreError as error:
            if not is_passing(error):
                raise
            return  # locked right now: a stopped process on a network disk must not end a week of training
        if "save" in names and not {"pause", "stop"} & set(names):
            self._signals.save = True
            self._take("saving")
        if "pause" in names or "stop" in names:
            self._command = Intent.STOP if "stop" in names else Intent.PAUSE

    def refuse(self, outcome: str) -> None:
        """Drop what the store asked for, because it can't be done now. Commits, if the store can be written."""
        self._command = None
        self._take(outcome)

    def _take(self, outcome: str) -> None:
        try:
            self._store.take_commands(self._run_id, outcome)
        except StoreError:
            return  # a full disk; the command stays and is taken up once there is space

    def wait(self, seconds: float) -> None:
        """Let time pass, but not past a signal.

        Raises:
            EndRequested: a signal asked the run to end. What the store asks for can't be done while this waits.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            signalled = self.signalled()
            if signalled is not None:
                raise EndRequested(signalled, is_saved=False)
            self.beat()
            time.sleep(0.1)

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        if not self._signals.save:
            return False
        self._signals.save = False  # a signal that comes between the two lines is answered by the same checkpoint
        return True

    def check(self) -> None:
        """Go on, or give way. For work between steps that can be done again from the last checkpoint.

        Raises:
            EndRequested: the run was asked to end.
        """
        intent = self.intent()
        if intent is not None:
            raise EndRequested(intent)
        self.beat()

    def end(self, intent: Intent, message: str = "") -> None:
        """Record that the run gave way, in other words than the intent's where some are given. Commits durably.

        A full disk leaves it to the lock to tell.
        """
        try:
            self._store.take_commands(self._run_id, intent.lifecycle)
            self._store.lifecycle(
                self._run_id,
                intent.lifecycle,
                message or intent.message,
                level="warning" if intent.lifecycle == "interrupted" else "info",
                exit_code=int(intent.exit_code),
            )
        except (StoreError, StoreLostError) as error:
            with contextlib.suppress(OSError):
                print(f"the end of the run could not be recorded: {error}", flush=True)  # noqa: T201
