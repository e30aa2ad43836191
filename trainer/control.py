"""What the run was asked to do, by a signal or through the store, as one word.

Pause, stop, SIGTERM and SIGINT all finish the step, write the same checkpoint and exit; what differs is the word that
is recorded and the exit code. A handler only sets a flag, so nothing is ever cut off in the middle of a step. SIGHUP
is ignored: a run that loses its terminal goes on.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType

from trainer.errors import ExitCode, StoreError
from trainer.store.runs import RunStore

POLL_SECONDS = 0.5
_BOUNCE_SECONDS = 0.15
"""A second Ctrl-C so soon after the first is the same press of the key."""

_HURRY_SECONDS = 2.0
"""A second Ctrl-C within so long leaves at once."""

_PROGRESS_SECONDS = 2.0

PHASES = ("starting", "loading", "starting workers", "training", "evaluating", "saving", "waiting")
"""What a trainer may be at (`runs.phase`): from importing torch to waiting for space on the disk."""


class Intent(Enum):
    """Why a run ends before it is finished: the lifecycle event, the sentence and the exit code."""

    PAUSE = ("paused", "paused on request; resume goes on from here", ExitCode.TRY_AGAIN)
    STOP = ("stopped", "stopped on request; resume by name goes on from here", ExitCode.FINISHED)
    TERMINATE = ("interrupted", "ended by SIGTERM with everything saved", ExitCode.SIGTERM)
    INTERRUPT = ("interrupted", "ended by SIGINT with everything saved", ExitCode.SIGINT)

    def __init__(self, lifecycle: str, message: str, exit_code: ExitCode) -> None:
        """Name the parts of the value."""
        self.lifecycle = lifecycle
        self.message = message
        self.exit_code = exit_code


class EndRequested(Exception):  # noqa: N818 - it is no error: the run was asked to end and has saved itself
    """Raised where a run gives way to an intent."""

    def __init__(self, intent: Intent) -> None:
        """Args: what was asked for."""
        super().__init__(intent.message)
        self.intent = intent


class Control:
    """The one place that knows whether the run should go on."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        """Args: the store and run whose commands are polled; earlier commands are dropped as outdated."""
        self._store = store
        self._run_id = run_id
        self._signal: int | None = None
        self._signal_at = 0.0
        self._polled_at = 0.0
        self._command: Intent | None = None
        self._save = False
        self._progress_at = 0.0
        self._phase = PHASES[0]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say what the trainer is at meanwhile; each beginning and end of a phase is progress."""
        assert name in PHASES, name
        before, self._phase = self._phase, name
        self.beat()
        try:
            yield
        finally:
            self._phase = before
            self.beat()

    def beat(self, step: int | None = None) -> None:
        """Note that the trainer gets on: a step was taken, or a piece of other work is done. Costs next to nothing."""

    def listen(self) -> None:
        """Take over SIGTERM, SIGINT and SIGUSR1, and ignore SIGHUP."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)
        signal.signal(signal.SIGUSR1, self._handle_save)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        since = now - self._signal_at
        if number == signal.SIGINT and self._signal == signal.SIGINT:
            if since < _BOUNCE_SECONDS:
                return
            if since < _HURRY_SECONDS:
                with contextlib.suppress(OSError):
                    os.write(2, f"\nended at once; resume {self._run_id} goes on from its last checkpoint\n".encode())
                os._exit(ExitCode.SIGINT)
        self._signal, self._signal_at = number, now

    def _handle_save(self, _number: int, _frame: FrameType | None) -> None:
        self._save = True

    def intent(self) -> Intent | None:
        """What was asked for, if anything; looks into the store at most twice a second."""
        if self._signal is not None:
            return Intent.INTERRUPT if self._signal == signal.SIGINT else Intent.TERMINATE
        now = time.monotonic()
        if now - self._polled_at >= POLL_SECONDS:
            self._polled_at = now
            self._poll()
        return self._command

    def _poll(self) -> None:
        names = [command.command for command in self._store.pending_commands(self._run_id)]
        if "save" in names and not {"pause", "stop"} & set(names):
            self._save = True
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
            EndRequested: SIGTERM or SIGINT came. What the store asks for can't be done while this waits.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._signal is not None:
                raise EndRequested(Intent.INTERRUPT if self._signal == signal.SIGINT else Intent.TERMINATE)
            time.sleep(0.1)

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        asked, self._save = self._save, False
        return asked

    def check(self) -> None:
        """Go on, or give way. For work between steps that can be done again from the last checkpoint.

        Raises:
            EndRequested: the run was asked to end.
        """
        intent = self.intent()
        if intent is not None:
            raise EndRequested(intent)
        self.beat()
        self._show_progress()

    def _show_progress(self) -> None:
        """Note that such work goes on, which no step tells of."""
        now = time.monotonic()
        if now - self._progress_at < _PROGRESS_SECONDS:
            return
        self._progress_at = now
        try:
            self._store.update_run(self._run_id, progress_at=time.time())
        except StoreError:
            return  # a full disk; the run is shown as stalled until it can say otherwise

    def end(self, intent: Intent) -> None:
        """Record that the run gave way. Commits durably; a full disk leaves it to the lock to tell."""
        try:
            self._store.take_commands(self._run_id, intent.lifecycle)
            self._store.lifecycle(
                self._run_id,
                intent.lifecycle,
                intent.message,
                level="warning" if intent.lifecycle == "interrupted" else "info",
                exit_code=int(intent.exit_code),
            )
        except StoreError as error:
            with contextlib.suppress(OSError):
                print(f"the end of the run could not be recorded: {error}", flush=True)  # noqa: T201
