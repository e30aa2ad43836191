"""What goes back into Slurm's queue, and what does not."""

import dataclasses
import random
from pathlib import Path

import pytest

from tests.simclr_tui.support import step_row
from tests.slurm_programs import Slurm
from trainer.presets import load_preset
from trainer.slurm.requeue import again, main, reason_to_end
from trainer.slurm.submit import record
from trainer.start import new_pretrain_run
from trainer.state import run_state
from trainer.store import RunStore
from trainer.store.records import SUBMITTED

JOB = "1234"


@pytest.fixture
def run_id(store: RunStore, slurm: Slurm) -> str:
    """A run that Slurm has started, and that saved because its time was up."""
    found = new_pretrain_run(store, load_preset("demo").config(), preset="demo", name="first")
    record(store, store.run(found), "handed to sbatch")
    slurm.set_state(JOB, "RUNNING")
    store.lifecycle(found, "started", "started")
    store.lifecycle(found, "interrupted", "saved and ended by SIGUSR1", exit_code=75)
    return found


def take_steps(store: RunStore, run_id: str, count: int) -> None:
    """Let the run have taken so many steps."""
    store.append(run_id, [step_row(count, random.Random(count))])


def test_a_run_that_saved_goes_back_and_is_queued(store: RunStore, slurm: Slurm, run_id: str) -> None:
    take_steps(store, run_id, 8)
    assert again(store, run_id, 75, JOB) == 0
    assert slurm.calls("scontrol") == [["requeue", JOB]]
    run = store.run(run_id)
    assert (run.lifecycle, run_state(run, store.runs_path)) == (SUBMITTED, "queued")
    assert store.events(run_id=run_id)[-1].message == "queued again by Slurm as job 1234, after step 8"


@pytest.mark.parametrize(
    ("lifecycle", "exit_code", "code", "words"),
    [
        ("paused", 75, 75, "it is paused"),
        ("stopped", 0, 75, "it is stopped"),
        ("failed", 1, 138, "it failed"),
        ("failed", 2, 75, "it failed"),
        ("interrupted", 143, 143, "it was ended by SIGTERM, and not by a preemption"),
        ("interrupted", 70, 70, "it ended with code 70"),
        ("failed", 1, 1, "it ended with code 1"),
        ("finished", 0, 0, "it ended with code 0"),
    ],
)
def test_what_a_person_ended_or_what_failed_stays_out(
    store: RunStore,
    slurm: Slurm,
    run_id: str,
    capsys: pytest.CaptureFixture[str],
    lifecycle: str,
    exit_code: int,
    code: int,
    words: str,
) -> None:
    store.lifecycle(run_id, lifecycle, "ended", exit_code=exit_code)
    assert again(store, run_id, code, JOB) == code
    assert slurm.calls("scontrol") == []
    assert store.run(run_id).lifecycle == lifecycle
    said = capsys.readouterr().out
    assert f"job {JOB} is not queued again, since {words}" in said
    assert f"simclr-tui resume {run_id} --slurm" in said


def test_a_run_that_was_preempted_goes_back_although_it_has_ended_before_its_time(
    store: RunStore, slurm: Slurm, run_id: str
) -> None:
    """Slurm puts back what is still there at the end of the GraceTime; what has ended is over for it."""
    store.lifecycle(run_id, "interrupted", "ended by SIGTERM", exit_code=143)
    slurm.preempt(JOB)
    assert again(store, run_id, 143, JOB) == 0
    assert slurm.calls("scontrol") == [["requeue", JOB]]
    assert run_state(store.run(run_id), store.runs_path) == "queued"


def test_where_slurm_does_not_answer_nothing_is_taken_for_a_preemption(
    store: RunStore, slurm: Slurm, run_id: str
) -> None:
    slurm.preempt(JOB)
    slurm.refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    assert again(store, run_id, 143, JOB) == 143
    slurm.refuse("squeue", "")
    slurm.set_state(JOB, "COMPLETING")  # cancelled within its GraceTime
    assert again(store, run_id, 143, JOB) == 143
    assert slurm.calls("scontrol") == []


@pytest.mark.parametrize("lifecycle", ["submitted", "failed"])
def test_what_could_not_start_goes_back(store: RunStore, slurm: Slurm, run_id: str, lifecycle: str) -> None:
    """A signal before the trainer was up, and a device that somebody measures on."""
    store.lifecycle(run_id, lifecycle, "not now", exit_code=75)
    assert again(store, run_id, 138 if lifecycle == "submitted" else 75, JOB) == 0
    assert len(slurm.calls("scontrol")) == 1


def test_a_run_that_gets_nowhere_is_queued_twice_and_no_more(store: RunStore, slurm: Slurm, run_id: str) -> None:
    take_steps(store, run_id, 8)
    codes = []
    for _ in range(5):
        codes.append(again(store, run_id, 75, JOB))
        store.lifecycle(run_id, "interrupted", "saved", exit_code=75)
    assert codes == [0, 0, 0, 75, 75]  # the first of them had made the eight steps
    take_steps(store, run_id, 9)
    assert again(store, run_id, 75, JOB) == 0


def test_a_run_that_gets_on_is_queued_as_often_as_it_takes(store: RunStore, slurm: Slurm, run_id: str) -> None:
    for step in range(1, 30):
        take_steps(store, run_id, step)
        assert again(store, run_id, 75, JOB) == 0


def test_a_run_that_another_trainer_has_stays_out(store: RunStore, run_id: str) -> None:
    run = dataclasses.replace(store.run(run_id), lifecycle="resumed", host="node7")
    assert reason_to_end(run, 75, "running", [0], 8) == "another trainer has it (node7)"
    assert reason_to_end(run, 75, "interrupted", [0], 8) is None


def test_where_slurm_refuses_the_run_is_interrupted_again(
    store: RunStore, slurm: Slurm, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm.refuse("scontrol", "Requested operation is presently disabled for job 1234")
    assert again(store, run_id, 75, JOB) == 75
    assert run_state(store.run(run_id), store.runs_path) == "interrupted"
    said = capsys.readouterr().out
    assert "Slurm did not queue job 1234 again: Requested operation is presently disabled for job 1234" in said


def test_the_program_asks_for_a_job_of_slurm(
    runs: Path,
    store: RunStore,
    slurm: Slurm,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--runs-dir", str(runs), "--run", run_id, "--code", "75"]
    assert main(words) == 75
    assert "SLURM_JOB_ID is not set" in capsys.readouterr().out
    monkeypatch.setenv("SLURM_JOB_ID", JOB)
    assert main(words) == 0
    assert main([*words[:3], "nosuchrun0", *words[4:]]) == 75
    assert "no run has the id 'nosuchrun0'" in capsys.readouterr().out
    nowhere = runs / "nowhere"
    assert main(["--runs-dir", str(nowhere), *words[2:]]) == 75
    assert f"{nowhere} has no run store; name the folder" in capsys.readouterr().out
    assert not nowhere.exists()
