"""Hypothesis drives the life of a run with real trainers, and holds it against a plain model after every step.

The model knows what was done and what came back (exit codes), never what the store says. The negative control is a
state that is read from the column alone, which takes a killed trainer for a running one.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.reliability.same import Placed, differing
from tests.reliability.trainers import Trainer, options, run_to_end, steps, until
from trainer import checkpoint
from trainer.paths import checkpoint_dir, lock_file
from trainer.process import lock_holder
from trainer.state import run_state
from trainer.store import RunStore
from trainer.store.records import LIFECYCLE, Run

LINE = options(checkpoint_seconds="0.2", epochs="7", name="calm")
"""56 steps, and a checkpoint every few of them, so that kills leave something to replay."""

ENDED = {75: "paused", 130: "interrupted", 143: "interrupted", -9: "interrupted"}
"""What a run is once its trainer has ended with a code; 0 is stopped or finished, as was asked."""

WORKERS = st.sampled_from(["", "0", "1", "2"])


class Lifecycle(RuleBasedStateMachine):
    """One run, at most one trainer of it, and what a person or the machine can do to them."""

    calm: Placed
    """The same run, left alone."""
    state_of: Callable[[Run, Path], str] = staticmethod(run_state)

    def __init__(self) -> None:
        """An empty runs folder."""
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runs = self.folder / "runs"
        self.store = RunStore.open(self.runs)
        self.trainer: Trainer | None = None
        self.state = "queued"
        self.rows: list[tuple[Any, ...]] = []
        self.damaged = 0
        self.harmed: set[int] = set()

    @initialize()
    def make(self) -> None:
        """The run, not started."""
        source = RunStore.open(self.calm[0])
        config = source.run(self.calm[1]).config
        source.close()
        self.run_id = self.store.create_run(kind="pretrain", name="driven", config=config)

    def is_idle(self) -> bool:
        """Whether a trainer may be started."""
        return self.trainer is None and self.state != "finished"

    def is_alive(self) -> bool:
        """Whether there is a trainer, as far as the model knows."""
        return self.trainer is not None

    @precondition(is_idle)
    @rule(workers=WORKERS)
    def start(self, workers: str) -> None:
        """Start or resume it, perhaps with other workers."""
        trainer = Trainer(self.runs, "--run", self.run_id, *(["--num-workers", workers] if workers else []))
        until(lambda: self.store.run(self.run_id).pid == trainer.pid or not trainer.process.is_alive())
        self.trainer, self.state = trainer, "live"

    @precondition(is_alive)
    @rule()
    def let_it_get_on(self) -> None:
        """Wait until another step is in the store."""
        assert self.trainer is not None
        trainer, before = self.trainer, self.store.last_step(self.run_id)
        until(lambda: self.store.last_step(self.run_id) > before or not trainer.process.is_alive())

    @precondition(is_alive)
    @rule(command=st.sampled_from(["pause", "stop"]))
    def ask(self, command: str) -> None:
        """Ask for its end through the store."""
        self.store.request(self.run_id, command)
        self._ends("stopped" if command == "stop" else "paused")

    @precondition(is_alive)
    @rule()
    def ask_to_save(self) -> None:
        """Ask for a checkpoint; nothing ends."""
        self.store.request(self.run_id, "save")

    @precondition(is_alive)
    @rule(number=st.sampled_from([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]))
    def signal(self, number: int) -> None:
        """End it by a signal."""
        assert self.trainer is not None
        os.kill(self.trainer.pid, number)
        self._ends("interrupted")

    def _ends(self, expected: str) -> None:
        """Wait for its end. It may have finished just before it heard of it."""
        assert self.trainer is not None
        code = self.trainer.wait()
        assert code in (*ENDED, 0), self.trainer.said()
        finished = code in (0, -9) and self._last_event() == "finished"
        self.state = "finished" if finished else ENDED.get(code, "stopped")
        assert self.state in (expected, "finished")
        self.trainer = None

    def _last_event(self) -> str:
        kinds = [event.kind for event in self.store.events(run_id=self.run_id) if event.kind in LIFECYCLE]
        return kinds[-1]

    @precondition(is_alive)
    @rule()
    def start_a_second(self) -> None:
        """Another trainer of a live run is turned away, and changes nothing."""
        assert self.trainer is not None
        second = Trainer(self.runs, "--run", self.run_id, log=self.folder / "second.log")
        code = second.wait()
        if self.trainer.process.is_alive():
            assert code == 75, second.said()
        else:  # the first finished meanwhile
            assert code in (0, 75), second.said()

    @precondition(is_idle)
    @rule(place=st.floats(0, 0.999))
    def damage_the_newest_checkpoint(self, place: float) -> None:
        """Flip a bit of it, as long as there is one before it and a trainer will still read it; once is enough."""
        folder = checkpoint_dir(self.runs, self.run_id)
        found = checkpoint.steps_on_disk(folder)
        if len(found) < 2 or self.state == "finished":
            return
        (file,) = folder.glob(f"step-{found[0]}-*.pt")
        if file.stat().st_mtime_ns in self.harmed:
            return
        data = bytearray(file.read_bytes())
        data[int(place * len(data))] ^= 1
        file.write_bytes(data)
        self.harmed.add(file.stat().st_mtime_ns)
        self.damaged += 1

    @precondition(is_idle)
    @rule()
    def delete_the_lock_file(self) -> None:
        """A stale file that somebody tidied away."""
        lock_file(self.runs, self.run_id).unlink(missing_ok=True)

    @invariant()
    def the_state_is_the_models(self) -> None:
        """What people are shown follows from what happened."""
        if not hasattr(self, "run_id"):
            return
        if self.trainer is None:
            assert self.state_of(self.store.run(self.run_id), self.runs) == self.state
            return
        shown = self.state_of(self.store.run(self.run_id), self.runs)
        if self.trainer.process.is_alive():
            assert shown in ("starting", "running", "pausing", "stopping", "finished"), shown
            assert shown != "finished" or self._last_event() == "finished"
        else:
            assert self.trainer.wait() == 0, self.trainer.said()
            self.trainer, self.state = None, "finished"

    @invariant()
    def there_is_one_owner_or_none(self) -> None:
        """The lock is the trainer's that the model knows of, and free where there is none."""
        if not hasattr(self, "run_id"):
            return
        holder = lock_holder(self.runs, self.run_id)
        assert holder is None or (self.trainer is not None and holder == self.trainer.pid)

    @invariant()
    def no_row_is_lost_doubled_or_rewritten(self) -> None:
        """Rows are there without a hole, and those that were seen once stay as they were."""
        if not hasattr(self, "run_id"):
            return
        rows = steps(self.runs, self.run_id)
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        assert rows[: len(self.rows)] == self.rows
        self.rows = rows

    def teardown(self) -> None:
        """Let it finish, and hold it against the run that was left alone."""
        try:
            if hasattr(self, "run_id"):
                self._finish()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _finish(self) -> None:
        if self.trainer is not None:
            self.trainer.wait()
        elif self.state != "finished":
            last = Trainer(self.runs, "--run", self.run_id)
            assert last.wait() == 0, last.said()
        assert run_state(self.store.run(self.run_id), self.runs) == "finished"
        assert differing(self.calm, (self.runs, self.run_id)) == []
        events = self.store.events(run_id=self.run_id)
        assert sum(event.kind == "checkpoint-damaged" for event in events) == self.damaged
        assert not any(event.kind == "replay" and event.level != "info" for event in events)


@pytest.fixture(scope="module", autouse=True)
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The run that is left alone."""
    runs = tmp_path_factory.mktemp("calm") / "runs"
    Lifecycle.calm = runs, run_to_end(runs, *LINE)
    yield
    del Lifecycle.calm


def drive(examples: int, step_count: int) -> None:
    """Let Hypothesis drive it so often. Nothing is shrunk: a step takes seconds, and times differ each time."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=step_count,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Lifecycle, settings=chosen)


def walk(driven: Lifecycle) -> None:
    """Everything once, with the invariants after each step."""

    def do(action: Callable[..., None], *values: Any) -> None:
        # What a precondition would say: a trainer that has finished meanwhile can't be asked for anything.
        needs_one = action.__name__ not in ("make", "start", "damage_the_newest_checkpoint", "delete_the_lock_file")
        if driven.trainer is None and (needs_one or driven.state == "finished"):
            return
        action(*values)
        driven.the_state_is_the_models()
        driven.there_is_one_owner_or_none()
        driven.no_row_is_lost_doubled_or_rewritten()

    try:
        do(driven.make)
        do(driven.start, "")
        do(driven.let_it_get_on)
        do(driven.start_a_second)
        do(driven.ask_to_save)
        do(driven.signal, signal.SIGKILL)
        do(driven.damage_the_newest_checkpoint, 0.5)
        do(driven.start, "2")
        do(driven.signal, signal.SIGKILL)
        do(driven.start, "0")
        do(driven.ask, "pause")
        do(driven.delete_the_lock_file)
        do(driven.start, "1")
        do(driven.signal, signal.SIGTERM)
        do(driven.start, "0")
        do(driven.ask, "stop")
    finally:
        driven.teardown()


@pytest.mark.timeout(300)
def test_whatever_is_done_to_a_run_its_state_is_right_and_no_bit_is_lost() -> None:
    walk(Lifecycle())


@pytest.mark.reliability
@pytest.mark.timeout(600)
def test_six_lives_of_a_run_leave_its_state_right_and_no_bit_lost() -> None:
    drive(6, 10)


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
def test_two_hundred_lives_of_a_run_leave_its_state_right_and_no_bit_lost() -> None:
    drive(200, 50)


class FromTheColumn(Lifecycle):
    """The negative control: a state that is believed, not derived."""

    @staticmethod
    def state_of(run: Run, _runs: Path) -> str:
        """What the column says."""
        return {"created": "queued", "started": "running", "resumed": "running"}.get(run.lifecycle, run.lifecycle)


def test_a_state_that_is_read_from_the_column_alone_would_fail() -> None:
    with pytest.raises(AssertionError, match="interrupted"):
        walk(FromTheColumn())
