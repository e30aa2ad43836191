"""`python -m trainer.supervise`: start a run's trainer, and start it again where it crashed or hung.

A small process in a session of its own, which does nothing but wait. Signals that it gets are handed on to the trainer;
if it is killed itself, the trainer goes on. What a person has to mend is not tried again, and neither is what gets
nowhere (restart limits and growing delays as in Erlang's supervisors and systemd.service(5)).
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from trainer.errors import ExitCode, StoreError, StoreVersionError, TrainerError
from trainer.paths import make_runs_dir, runs_dir
from trainer.process import identity
from trainer.store.reader import StoreReader
from trainer.store.records import Run

T = TypeVar("T")

TRACEBACK_NOTE = "the traceback is in the run's log"
"""Ends the message of a failure that is a bug or an accident, and that no sentence could say how to mend."""

FRUITLESS_RESTARTS = 2
"""Restarts in a row without a step of progress after which no further one is tried."""

RETRY_SECONDS = 30.0
"""Between two questions to a store that can't be read or written."""

_LONGEST_DELAY_SECONDS = 60.0
_HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGXCPU)
_ASKS_TO_END = (signal.SIGTERM, signal.SIGINT)
_FINAL_CODES = frozenset({ExitCode.FINISHED, ExitCode.USAGE, ExitCode.TRY_AGAIN, ExitCode.SIGINT, ExitCode.SIGTERM})


MOST_RESTARTS = 1000


def restart_count(text: str) -> int:
    """The number of restarts that a command line asks for, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) > MOST_RESTARTS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of restarts; give 0 to {MOST_RESTARTS}")
    return int(text)


def delay_seconds(restarts: int) -> float:
    """How long to wait before a restart when so many came before it: 1 s, 2 s, 4 s … at most 60 s."""
    return min(2.0 ** min(restarts, 10), _LONGEST_DELAY_SECONDS)


def is_crash(code: int, run: Run, message: str) -> bool:
    """Whether a trainer ended in a way that another start may mend. Pure.

    Args:
        code: its exit code, negative where a signal killed it.
        run: the row of its run, read afterwards.
        message: the last event of its lifecycle.
    """
    if code in _FINAL_CODES or -code in _ASKS_TO_END or run.pending_command in ("pause", "stop"):
        return False
    told_how_to_mend = run.lifecycle == "failed" and not message.endswith(TRACEBACK_NOTE)
    return code != ExitCode.FAILED or not told_how_to_mend


def exit_code(code: int) -> int:
    """A child's code as a shell gives it."""
    return 128 - code if code < 0 else code


def how_it_ended(code: int) -> str:
    """A crash in words."""
    if code == ExitCode.HUNG:
        return "it hung"
    return f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it failed with exit code {code}"


class Supervisor:
    """Holds on to the trainer of one run."""

    def __init__(self, runs: Path, run_id: str, flags: Sequence[str]) -> None:
        """Args: the runs folder, the run, and further options of its trainer."""
        self._runs = runs
        self._run_id = run_id
        self._flags = list(flags)
        self._child: subprocess.Popen[bytes] | None = None
        self._asked: int | None = None

    def listen(self) -> None:
        """Hand signals on from here on."""
        for number in _HANDED_ON:
            signal.signal(number, self._hand_on)

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        if number in _ASKS_TO_END:
            self._asked = number
        if self._child is not None:
            self._child.send_signal(number)

    def run(self) -> int:
        """Until there is nothing left to do; the exit code of the last trainer."""
        restarts = fruitless = 0
        while True:
            before = self._insist(self._last_step) or 0
            code = self._wait()
            if self._asked is not None:
                return exit_code(code)
            fruitless = fruitless + 1 if restarts and (self._insist(self._last_step) or 0) <= before else 0
            left = self._insist(partial(self._restarts_left, code))
            if left is None:
                return exit_code(code)
            if not left or fruitless == FRUITLESS_RESTARTS:
                self._give_up(code, is_spent=not left)
                return exit_code(code)
            if not self._sleep(delay_seconds(restarts)):
                return 128 + int(self._asked or 0)
            if not self._insist(partial(self._count_down, code, left)):
                return exit_code(code)
            restarts += 1

    def _wait(self) -> int:
        """Start a trainer and wait for its end. It has a session of its own, so that Ctrl-C reaches it once."""
        command = [sys.executable, "-m", "trainer.run", "--runs-dir", str(self._runs), "--run", self._run_id]
        self._child = subprocess.Popen([*command, *self._flags], stdin=subprocess.DEVNULL, start_new_session=True)
        if self._asked is not None:  # between the last look and the start
            self._child.send_signal(self._asked)
        code = self._child.wait()
        self._child = None
        return code

    def _insist(self, ask: Callable[[], T]) -> T | None:
        """What the store answers, asked again while it can't be read or written; None if a signal asked for the end.

        A supervisor that gave up on a full disk would leave a run dead that has restarts left.
        """
        while self._asked is None:
            try:
                return ask()
            except StoreVersionError:
                raise
            except StoreError as error:
                print(f"trainer: {error}; asked again in {RETRY_SECONDS:.0f} s", file=sys.stderr, flush=True)  # noqa: T201
                self._sleep(RETRY_SECONDS)
        return None

    def _last_step(self) -> int:
        reader = StoreReader.open(self._runs)
        try:
            run = reader.run(self._run_id)  # a benchmark logs no steps, and counts its turns
            return (run.step or 0) if run.kind == "benchmark" else reader.last_step(run.id)
        finally:
            reader.close()

    def _restarts_left(self, code: int) -> int | None:
        """How often the run may be started again, or None where it ended in a way that asks for no restart."""
        reader = StoreReader.open(self._runs)
        try:
            run = reader.run(self._run_id)
            events = reader.events(run_id=run.id, limit=50)
        finally:
            reader.close()
        last = next((event.message for event in reversed(events) if event.kind == run.lifecycle), "")
        return (run.restarts_left or 0) if is_crash(code, run, last) else None

    def _sleep(self, seconds: float) -> bool:
        """Wait; False if a signal asked for the end meanwhile."""
        deadline = time.monotonic() + seconds
        while self._asked is None and time.monotonic() < deadline:
            time.sleep(0.1)
        return self._asked is None

    def _count_down(self, code: int, left: int) -> bool:
        """Note a restart before it is made; False if somebody else has started the run meanwhile."""
        from trainer.start import restart
        from trainer.store.runs import RunStore

        message = f"trainer started again, since {how_it_ended(code)}; restarts left: {left - 1}"
        in_line = "--queue" in self._flags
        store = RunStore.open(self._runs)
        try:
            return restart(store, self._run_id, message, left=left - 1, in_line=in_line, owner=identity().columns())
        finally:
            store.close()

    def _give_up(self, code: int, *, is_spent: bool) -> None:
        from trainer.store.runs import RunStore

        fruitless = f"{FRUITLESS_RESTARTS} restarts in a row made no step of progress"
        why = "no restart is left" if is_spent else fruitless
        sentence = f"{how_it_ended(code)}, and {why}; its log says more, and resume tries again"
        try:
            store = RunStore.open(self._runs)
            try:
                store.lifecycle(self._run_id, "failed", sentence, level="error", exit_code=exit_code(code))
            finally:
                store.close()
        except StoreError as error:
            print(f"trainer: {error}", file=sys.stderr, flush=True)  # noqa: T201


def command(runs: Path, run_id: str, flags: Sequence[str]) -> list[str]:
    """The command line of a supervised trainer."""
    return [sys.executable, "-m", "trainer.supervise", "--runs-dir", str(runs), "--run", run_id, *flags]


def become(runs: Path, run_id: str, flags: Sequence[str]) -> NoReturn:
    """Turn this process into the supervisor of a run, with the same terminal."""
    words = command(runs, run_id, flags)
    os.execv(words[0], words)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervise one run; every option that is not named here goes to its trainer."""
    parser = argparse.ArgumentParser(prog="python -m trainer.supervise", allow_abbrev=False)
    parser.add_argument("--runs-dir")
    parser.add_argument("--run", required=True, metavar="ID")
    options, flags = parser.parse_known_args(arguments)
    supervisor = Supervisor(make_runs_dir(runs_dir(options.runs_dir)), options.run, flags)
    supervisor.listen()
    try:
        return supervisor.run()
    except TrainerError as error:
        print(f"trainer: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
