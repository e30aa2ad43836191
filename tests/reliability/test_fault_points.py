"""One cycle of commits and a checkpoint, broken at every call that changes the disk.

After each fault the store is whole, the newest checkpoint that was announced verifies, nothing that was committed is
gone, and the run ends bit for bit as the undisturbed one. The negative controls write in place, without fsync, the
manifest before the weights, and the row before the file; each fails the same check.
"""

import itertools
import multiprocessing
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import faults, trainers
from tests.reliability.faults import (
    CUT_BYTES,
    CUT_NAMES,
    ENDING,
    KILL,
    NO_SPACE,
    RAISING,
    STAYS_FULL,
    TORN,
    Faults,
    Plan,
)
from tests.reliability.trainers import Trainer, newest_run, options, scores, steps, weights
from trainer import checkpoint
from trainer.background_save import THREAD
from trainer.paths import checkpoint_dir

LINE = options(
    limit_per_class="3",
    limit_test_per_class="2",
    epochs="2",
    keep_checkpoints="2",
    checkpoint_seconds="0",
    health_every="0",
    checkpoint_in_background=False,
)
"""Six steps in two epochs, a checkpoint after each step and epoch, two of them kept."""

BEHIND = [*LINE, "--checkpoint-in-background"]
"""The same, written by a thread while training goes on."""

FEWEST_POINTS = 25


def _in_place(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)


def _without_sync(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    _in_place_unsynced(temporary, data)
    temporary.replace(path)


def _in_place_unsynced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, data)
    os.close(descriptor)


def _write_in_place() -> None:
    vars(checkpoint)["write_durably"] = _in_place


def _never_sync() -> None:
    vars(checkpoint)["write_durably"] = _without_sync


def _manifest_first() -> None:
    waiting: list[tuple[Path, bytes]] = []
    real = vars(checkpoint)["write_durably"]

    def write(path: Path, data: bytes) -> None:
        if path.suffix == ".pt":
            waiting.append((path, data))
            return
        real(path, data)
        while waiting:
            real(*waiting.pop())

    vars(checkpoint)["write_durably"] = write


def _row_first() -> None:
    from trainer.store import RunStore

    real = checkpoint.save

    def save(folder: Path, payload: dict[str, Any], manifest: dict[str, Any]) -> checkpoint.Saved:
        store = RunStore.open(folder.parent.parent)
        row = {"run_id": folder.parent.name, "step": manifest["step"], "epoch": manifest["epoch"], "bytes": 0}
        store.put_checkpoint(row | {"path": "", "sha256": "", "reason": manifest["reason"]})
        store.close()
        return real(folder, payload, manifest)

    checkpoint.save = save


CONTROLS: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "in place": _write_in_place,
    "without fsync": _never_sync,
    "manifest first": _manifest_first,
    "row first": _row_first,
}


def _life(arguments: Sequence[str], log: str, plan: Plan, control: str) -> None:
    """A trainer that meets a fault."""
    from trainer import job, recorder, run

    multiprocessing.set_start_method("fork", force=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # A clock must not decide which call is the n-th, and a test does not wait for a full disk as long as a person.
    recorder.FLUSH_SECONDS = float("inf")
    vars(recorder)["_RETRY_SECONDS"] = 0.0
    vars(job)["INSIST_SECONDS"] = 0.01
    CONTROLS[control]()
    watched = Faults(plan, plan.report.with_suffix(".side"))
    watched.install()
    if plan.thread:
        _arm_by_checkpoints(watched)
    else:
        _arm_by_steps(watched)
    code = run.main(arguments)
    sys.stdout.flush()
    os._exit(code)


def _arm_by_steps(watched: Faults) -> None:
    from trainer import control

    beat = control.Control.beat

    def arming(self: Any, step: int | None = None) -> None:
        beat(self, step)
        if step is not None:
            watched.arm(step)

    vars(control)["Control"].beat = arming


def _arm_by_checkpoints(watched: Faults) -> None:
    """Count in those of one step alone, since training is at another one by then."""
    from trainer import keeper

    save = keeper.CheckpointKeeper.save

    def arming(self: Any, payload: dict[str, Any], *, step: int, **options: Any) -> Any:
        watched.arm(step)
        return save(self, payload, step=step, **options)

    vars(keeper)["CheckpointKeeper"].save = arming


class FaultyTrainer(Trainer):
    """A trainer process that meets a fault."""

    def __init__(self, runs: Path, plan: Plan, *, control: str = "") -> None:
        """Start it on a new run, broken on purpose as a negative control says."""
        self.log = runs.with_suffix(".log")
        line = ["--runs-dir", str(runs), *(BEHIND if plan.thread else LINE)]
        self.process = trainers._context.Process(target=_life, args=(line, str(self.log), plan, control))
        self.process.start()
        trainers.started.append(self)


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The run that was never disturbed."""
    runs = tmp_path_factory.mktemp("calm") / "runs"
    return runs, trainers.run_to_end(runs, *LINE)


@cache
def outcome(runs: Path, run_id: str) -> tuple[Any, ...]:
    """Steps and scores of a run, and its final weights as bytes."""
    final = weights(runs, run_id)
    return steps(runs, run_id), scores(runs, run_id), {name: value.numpy().tobytes() for name, value in final.items()}


def meet(runs: Path, n: int, mode: str, *, control: str = "", thread: str = "") -> tuple[int, str]:
    """A life of a new run that meets a fault: its exit code, and the report of what was met."""
    plan = Plan(n, mode, runs.with_suffix(".report"), thread)
    trainer = FaultyTrainer(runs, plan, control=control)
    code = trainer.wait()
    report = plan.report.read_text() if plan.report.exists() else ""
    assert "Traceback" not in trainer.said(), trainer.said()
    expected = (0,) if "reached" not in report else (-9,) if mode in ENDING else (0, 1, 75)
    assert code in expected, trainer.said()
    return code, report


def look(runs: Path, run_id: str, calm: tuple[Path, str]) -> None:
    """What lies on the disk after a fault: a whole store, what was committed, and checkpoints that verify."""
    connection = sqlite3.connect(runs / "runs.db")
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    query = "SELECT step, path, sha256 FROM checkpoints WHERE run_id = ? ORDER BY step DESC"
    announced = connection.execute(query, (run_id,)).fetchall()
    connection.close()
    committed = steps(runs, run_id)
    assert committed == steps(*calm)[: len(committed)]
    assert len(committed) >= faults.FIRST_STEP - 1, "a committed step is gone"
    folder = checkpoint_dir(runs, run_id)
    said: list[str] = []
    found = checkpoint.latest_valid(folder, lambda _: True, lambda *words: said.append(": ".join(words)), owner=False)
    assert found is not None, "no checkpoint is left"
    assert not said, f"the newest checkpoint is not the newest on the disk: {said}"
    assert not announced or announced[0][0] <= found[1]["step"], "a checkpoint was announced before it was there"
    on_disk = checkpoint.steps_on_disk(folder)
    for step, _, _ in announced:
        assert step in on_disk, f"checkpoint {step} was announced and is not there"
        checkpoint.load(folder, step, lambda _: True)


def recover(runs: Path, run_id: str, calm: tuple[Path, str], *, is_over: bool) -> None:
    """Start the run again if it is not over, and see that it ends as if nothing had happened, and tidily."""
    if not is_over:
        trainer = Trainer(runs, "--run", run_id)
        assert trainer.wait() == 0, trainer.said()
    assert outcome(runs, run_id) == outcome(*calm)
    folder = checkpoint_dir(runs, run_id)
    assert not [path.name for path in folder.iterdir() if path.suffix == ".tmp" or ".damaged" in path.name]
    connection = sqlite3.connect(runs / "runs.db")
    kinds = {row[0] for row in connection.execute("SELECT kind FROM events")}
    connection.close()
    assert not kinds & {"checkpoint-damaged", "checkpoint-skipped", "checkpoint-fallback"}


def survive(runs: Path, n: int, mode: str, calm: tuple[Path, str], *, control: str = "", thread: str = "") -> str:
    """One fault, what it left, and the way back; the report, which says "passed" where the call was never reached."""
    code, report = meet(runs, n, mode, control=control, thread=thread)
    if "reached" in report:
        run_id = newest_run(runs)
        look(runs, run_id, calm)
        recover(runs, run_id, calm, is_over=code == 0)
    return report


def every(
    tmp_path: Path, mode: str, calm: tuple[Path, str], *, stride: int = 1, control: str = "", thread: str = ""
) -> int:
    """Meet the n-th call of a mode for n = 1, 1 + stride, … until a cycle passes without it; how many there are."""
    for n in itertools.count(1, stride):
        runs = tmp_path / f"runs{n}"
        try:
            report = survive(runs, n, mode, calm, control=control, thread=thread)
        except BaseException as error:
            said = runs.with_suffix(".report")
            raise AssertionError(f"{mode}, {said.read_text() if said.exists() else n}: {error}") from error
        if "reached" not in report:
            (number,) = re.findall(r"passed (\d+)", report)
            print(f"{mode}: {len(range(1, n, stride))} points met; {report.strip()}")
            assert int(number) < n
            return int(number)
        shutil.rmtree(runs)
    raise AssertionError


FEWEST = {TORN: 4, CUT_BYTES: 15, CUT_NAMES: 15}
"""Points that a mode has at least, so that a watch that sees nothing does not pass; of the others FEWEST_POINTS."""

QUICK = {KILL: 20, CUT_NAMES: 20, NO_SPACE: 45}
"""For the default suite: every how many-th call of a mode is met."""


COUNTED = {STAYS_FULL: 12, NO_SPACE: 3}
"""For the counted proof, in which a kill and an error meet every call: a disk that stays full does so for twelve calls,
and one write without space is an error like any other."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", QUICK)
def test_a_fault_at_some_calls_of_a_cycle_loses_nothing(tmp_path: Path, calm: tuple[Path, str], mode: str) -> None:
    assert every(tmp_path, mode, calm, stride=QUICK[mode]) >= FEWEST.get(mode, FEWEST_POINTS)


@pytest.mark.reliability
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", [*ENDING, *RAISING])
def test_a_fault_at_every_call_of_a_cycle_loses_nothing(tmp_path: Path, calm: tuple[Path, str], mode: str) -> None:
    assert every(tmp_path, mode, calm, stride=COUNTED.get(mode, 1)) >= FEWEST.get(mode, FEWEST_POINTS)


@pytest.mark.timeout(300)
def test_a_kill_at_some_calls_of_the_thread_that_writes_behind_loses_nothing(
    tmp_path: Path, calm: tuple[Path, str]
) -> None:
    assert every(tmp_path, KILL, calm, stride=20, thread=THREAD) >= FEWEST_POINTS


@pytest.mark.reliability
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", [*ENDING, *RAISING])
def test_a_fault_at_every_call_of_the_thread_that_writes_behind_loses_nothing(
    tmp_path: Path, calm: tuple[Path, str], mode: str
) -> None:
    points = every(tmp_path, mode, calm, stride=COUNTED.get(mode, 1), thread=THREAD)
    assert points >= FEWEST.get(mode, FEWEST_POINTS)


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_a_row_before_its_file_is_noticed_behind_too(tmp_path: Path, calm: tuple[Path, str]) -> None:
    with pytest.raises(AssertionError, match="announced"):
        every(tmp_path, KILL, calm, control="row first", thread=THREAD)


def assert_noticed(tmp_path: Path, calm: tuple[Path, str], control: str, mode: str, words: str) -> None:
    """A negative control: the same look at the same points finds the broken way out."""
    with pytest.raises(AssertionError, match=words):
        every(tmp_path, mode, calm, control=control)


@pytest.mark.timeout(300)
def test_writing_in_place_is_noticed_by_a_torn_write(tmp_path: Path, calm: tuple[Path, str]) -> None:
    assert_noticed(tmp_path, calm, "in place", TORN, "is not the newest on the disk")


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_writing_without_fsync_is_noticed_by_a_power_cut(tmp_path: Path, calm: tuple[Path, str]) -> None:
    assert_noticed(tmp_path, calm, "without fsync", CUT_BYTES, "is not the newest on the disk")


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_writing_without_fsync_is_not_noticed_by_a_kill(tmp_path: Path, calm: tuple[Path, str]) -> None:
    """Why a power cut is needed: the page cache outlives the process."""
    every(tmp_path, TORN, calm, control="without fsync")


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_a_manifest_before_its_weights_is_noticed(tmp_path: Path, calm: tuple[Path, str]) -> None:
    assert_noticed(tmp_path, calm, "manifest first", KILL, "is not the newest on the disk")


@pytest.mark.reliability
@pytest.mark.timeout(900)
def test_a_row_before_its_file_is_noticed(tmp_path: Path, calm: tuple[Path, str]) -> None:
    assert_noticed(tmp_path, calm, "row first", KILL, "announced")
