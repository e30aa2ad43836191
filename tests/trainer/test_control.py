"""What a run is asked for, by real signals and through the real store."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run
from trainer import control
from trainer.control import Control, EndRequested, Intent
from trainer.errors import StoreError
from trainer.paths import store_file
from trainer.pulse import PHASES
from trainer.signals import TAKEN, Signals, held_back
from trainer.store import RunStore
from trainer.store.connect import reading


@pytest.fixture
def asked(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """A control that looks into the store at every call, with signal handlers that are put back."""
    monkeypatch.setattr(control, "POLL_SECONDS", 0.0)
    numbers = TAKEN
    before = {number: signal.getsignal(number) for number in numbers}
    made = Control(store, make_run(store))
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def run_of(store: RunStore) -> str:
    """The only run."""
    return store.runs()[0].id


def test_nothing_asked_is_nothing_wanted(asked: Control) -> None:
    assert asked.intent() is None
    assert not asked.take_save()
    asked.check()


@pytest.mark.parametrize(
    ("number", "intent", "code"),
    [
        (signal.SIGTERM, Intent.TERMINATE, 143),
        (signal.SIGINT, Intent.INTERRUPT, 130),
        (signal.SIGXCPU, Intent.OUT_OF_TIME, 143),
    ],
)
def test_a_signal_is_an_intent_with_its_exit_code(asked: Control, number: int, intent: Intent, code: int) -> None:
    os.kill(os.getpid(), number)
    assert asked.intent() is intent
    assert intent.exit_code == code
    with pytest.raises(EndRequested):
        asked.check()


def test_a_store_that_is_locked_right_now_is_asked_again_later(
    asked: Control, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was stopped on a network disk, where reads wait for writes; damage is no such thing."""
    run_id = run_of(store)
    query = store._rows

    def refuse(code: type[sqlite3.Error], words: str) -> None:
        def rows(*_: object) -> list[sqlite3.Row]:
            with reading(store_file(store.runs_path)):
                raise code(words)

        monkeypatch.setattr(store, "_rows", rows)

    store.request(run_id, "pause")
    refuse(sqlite3.OperationalError, "database is locked")
    assert asked.intent() is None
    monkeypatch.setattr(store, "_rows", query)
    assert asked.intent() is Intent.PAUSE
    refuse(sqlite3.DatabaseError, "file is not a database")
    with pytest.raises(StoreError):
        asked.intent()


def test_sighup_is_ignored_and_sigusr1_asks_for_a_checkpoint(asked: Control) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert asked.intent() is None
    assert asked.take_save()
    assert not asked.take_save()


@pytest.mark.parametrize(("command", "intent", "code"), [("pause", Intent.PAUSE, 75), ("stop", Intent.STOP, 0)])
def test_a_command_is_an_intent_until_the_run_has_ended(
    asked: Control, store: RunStore, command: str, intent: Intent, code: int
) -> None:
    store.request(run_of(store), command)
    assert asked.intent() is intent
    assert intent.exit_code == code
    asked.end(intent)
    run = store.run(run_of(store))
    assert (run.lifecycle, run.exit_code, run.pending_command) == (intent.lifecycle, code, None)


def test_a_stop_beats_a_pause_and_a_save_is_taken_at_once(asked: Control, store: RunStore) -> None:
    store.request(run_of(store), "save")
    assert asked.intent() is None
    assert asked.take_save()
    assert store.pending_commands(run_of(store)) == []
    store.request(run_of(store), "pause")
    store.request(run_of(store), "stop")
    assert asked.intent() is Intent.STOP


def test_a_refused_command_is_dropped_with_its_outcome(asked: Control, store: RunStore) -> None:
    store.request(run_of(store), "pause")
    assert asked.intent() is Intent.PAUSE
    asked.refuse("no space")
    assert asked.intent() is None
    outcome = store.connection.execute("SELECT outcome FROM commands").fetchone()[0]
    assert outcome == "no space"


def test_a_second_ctrl_c_leaves_at_once(tmp_path: Path) -> None:
    code = f"""
        import os, signal, time
        from pathlib import Path
        from trainer.control import Control
        from trainer.store import RunStore
        store = RunStore.open(Path({str(tmp_path)!r}))
        Control(store, "x").listen()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # a key that bounced
        print("first", flush=True)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        print("second", flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "first\n")
    assert "resume x goes on from its last checkpoint" in done.stderr


def test_a_second_sigusr1_within_two_seconds_ends_the_run_for_being_queued_again(
    asked: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("trainer.signals.time.monotonic", lambda: clock[0])
    for at, intent in ((100.0, None), (103.0, None), (104.9, Intent.REQUEUE)):
        clock[0] = at
        os.kill(os.getpid(), signal.SIGUSR1)
        assert asked.signalled() is intent
    assert Intent.REQUEUE.exit_code == 75
    assert Intent.REQUEUE.lifecycle == "interrupted"


@pytest.mark.usefixtures("asked")
def test_with_requeue_the_first_sigusr1_ends_the_run_and_sigterm_beats_it(store: RunStore) -> None:
    signals = Signals(requeue=True)
    signals.listen()
    control = Control(store, run_of(store), signals=signals)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert control.signalled() is Intent.REQUEUE
    os.kill(os.getpid(), signal.SIGTERM)
    assert control.signalled() is Intent.TERMINATE
    os.kill(os.getpid(), signal.SIGUSR1)
    assert control.signalled() is Intent.TERMINATE


def test_a_wait_ends_with_a_signal_and_is_no_hang(asked: Control) -> None:
    before = asked.pulse.read().beats
    asked.wait(0.3)
    assert asked.pulse.read().beats > before
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(EndRequested, match="SIGTERM"):
        asked.wait(3600)


def test_phases_nest_and_every_change_is_a_beat(asked: Control) -> None:
    seen = [asked.pulse.read()]
    with asked.phase("training"):
        seen.append(asked.pulse.read())
        with contextlib.suppress(EndRequested), asked.phase("saving"):
            seen.append(asked.pulse.read())
            raise EndRequested(Intent.PAUSE)
        seen.append(asked.pulse.read())
    seen.append(asked.pulse.read())
    assert [vital.phase for vital in seen] == [PHASES[0], "training", "saving", "training", PHASES[0]]
    assert [vital.beats for vital in seen] == sorted({vital.beats for vital in seen})


def test_a_check_is_a_beat(asked: Control) -> None:
    before = asked.pulse.read().beats
    asked.check()
    assert asked.pulse.read().beats == before + 1


def test_a_process_begun_while_signals_are_held_back_never_gets_them(asked: Control) -> None:
    """Without the mask the child would die between its first instruction and its own handlers."""
    with held_back():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5); print('alive')"], stdout=-1)
        # To this thread, since the kernel may give what is for the process to another one that holds nothing back.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert asked.signalled() is None
    assert asked.signalled() is Intent.TERMINATE
    for number in TAKEN:
        os.kill(child.pid, number)
    assert child.communicate()[0] == b"alive\n"
    assert child.returncode == 0
