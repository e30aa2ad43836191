"""What a run is asked for, by real signals and through the real store."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run
from trainer import control
from trainer.control import Control, EndRequested, Intent
from trainer.store import RunStore


@pytest.fixture
def asked(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    """A control that looks into the store at every call, with signal handlers that are put back."""
    monkeypatch.setattr(control, "POLL_SECONDS", 0.0)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
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
    ("number", "intent", "code"), [(signal.SIGTERM, Intent.TERMINATE, 143), (signal.SIGINT, Intent.INTERRUPT, 130)]
)
def test_a_signal_is_an_intent_with_its_exit_code(asked: Control, number: int, intent: Intent, code: int) -> None:
    os.kill(os.getpid(), number)
    assert asked.intent() is intent
    assert intent.exit_code == code
    with pytest.raises(EndRequested):
        asked.check()


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
