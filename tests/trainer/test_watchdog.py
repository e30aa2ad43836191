"""What counts as silence, how long it is borne, and what is said about it."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run
from trainer import watchdog
from trainer.process import identity
from trainer.pulse import PHASES, Vital
from trainer.store import RunStore
from trainer.watchdog import Silence, Watch, _record, allowed_seconds


def made(**changes: object) -> Watch:
    """A watch of this process."""
    values = {"runs": "/nowhere", "run_id": "abcdefghij", "pid": os.getpid(), "start_ticks": 1, "pulse": 3, "end": 4}
    return Watch(**{**values, "hang_seconds": 600.0, **changes})  # type: ignore[arg-type]


def test_silence_is_the_time_since_the_last_beat() -> None:
    silence = Silence(1.0)
    looks = [(0, 10.0), (0, 11.0), (0, 12.0), (1, 13.0), (1, 14.0)]
    assert [silence.look(beats, now=now, counts=True) for beats, now in looks] == [0, 1, 2, 0, 1]


def test_silence_equals_a_sum_over_the_intervals_that_count() -> None:
    draw = random.Random(0)
    for _ in range(200):
        silence, now, expected, beats, last = Silence(1.0), 5.0, 0.0, 0, None
        for _ in range(50):
            passed = draw.choice([0.5, 1.0, 1.5, 2.0])
            now += passed
            beats += draw.random() < 0.1
            counts = draw.random() < 0.8
            expected = 0.0 if beats != last else expected + passed * counts
            last = beats
            assert silence.look(beats, now=now, counts=counts) == pytest.approx(expected)


def test_a_gap_in_which_the_watchdog_itself_did_not_run_hardly_counts() -> None:
    """A machine that was asleep or a group of processes that was stopped says nothing about the trainer."""
    silence = Silence(1.0)
    silence.look(0, now=0.0, counts=True)
    assert silence.look(0, now=8 * 3600.0, counts=True) == 2.0


def test_a_stopped_or_waiting_trainer_is_not_silent() -> None:
    silence = Silence(1.0)
    for second in range(1000):
        seconds = silence.look(0, now=float(second), counts=False)
    assert seconds == 0.0


@pytest.mark.parametrize("phase", PHASES)
def test_the_stacks_come_at_a_fifth_and_other_phases_have_more_time(phase: str) -> None:
    vital = Vital(1, phase, 5, 0.0)
    end = 600 if phase in ("training", "starting workers") else 3600
    assert allowed_seconds("end", vital, 600.0) == end
    assert allowed_seconds("stacks", vital, 600.0) == pytest.approx(end / 5)


def test_slow_steps_lengthen_what_is_borne() -> None:
    vital = Vital(1, "training", 5, 40.0)
    assert allowed_seconds("stacks", vital, 600.0) == 800.0
    assert allowed_seconds("end", vital, 600.0) == 2400.0


def test_what_is_watched_survives_the_command_line() -> None:
    watch = made(runs="/a b/\N{SNOWMAN}", hang_seconds=0.5)
    assert Watch.from_json(watch.to_json()) == watch


def test_a_hang_is_recorded_of_the_trainer_that_hung_and_of_no_other(store: RunStore, runs: Path) -> None:
    run_id = make_run(store)
    me = identity()
    store.lifecycle(run_id, "started", "started", **me.columns())
    mine = made(runs=str(runs), run_id=run_id, start_ticks=me.start_ticks)
    successor = made(runs=str(runs), run_id=run_id, start_ticks=me.start_ticks + 1)
    assert _record(successor, "hung")
    assert store.run(run_id).lifecycle == "started"
    assert _record(mine, "hung")
    assert (store.run(run_id).lifecycle, store.run(run_id).exit_code) == ("failed", 70)
    assert [event.kind for event in store.events(run_id=run_id)][-2:] == ["hung", "failed"]
    store.lifecycle(run_id, "paused", "paused", exit_code=75)
    assert _record(mine, "hung")
    assert store.run(run_id).lifecycle == "paused"


def test_a_hang_is_recorded_by_nobody_who_has_not_the_turn_to_write(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the guard may be at a checkpoint of the log, in which nobody may commit."""
    run_id = make_run(store)
    me = identity()
    store.lifecycle(run_id, "started", "started", **me.columns())
    mine = made(runs=str(runs), run_id=run_id, start_ticks=me.start_ticks)
    monkeypatch.setattr(watchdog, "_BUSY_SECONDS", 0.2)
    assert store._guard is not None
    with store._guard.held():
        assert not _record(mine, "hung")
    assert store.run(run_id).lifecycle == "started"
    assert _record(mine, "hung")


def test_a_store_that_is_gone_is_told_by_the_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not _record(made(runs=str(tmp_path / "file")), "hung")


def test_the_watchdog_is_small_and_never_imports_torch() -> None:
    code = "import sys, trainer.watchdog; print(*sorted({'torch', 'numpy', 'sqlite_utils', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_watchdog_without_its_trainer_ends_at_once() -> None:
    """As one does whose trainer was killed before the kernel was asked to tell."""
    read, write = os.pipe()
    memory = os.memfd_create("pulse")
    os.ftruncate(memory, 4096)
    watch = made(pid=1, pulse=memory, end=write, hang_seconds=1.0)
    command = [sys.executable, "-m", "trainer.watchdog", watch.to_json()]
    assert subprocess.run(command, pass_fds=(memory, write), timeout=60, check=False).returncode == 0
    for descriptor in (read, write, memory):
        os.close(descriptor)
