"""Submitting runs, taking them back, and who else may start them."""

import json
import os
from pathlib import Path

import pytest

from tests.slurm_programs import Slurm, words_of
from tests.trainer.test_process import holder
from trainer.errors import ExitCode, StoreError, TrainerError, UsageError
from trainer.presets import load_preset
from trainer.process import RunLock, identity
from trainer.slurm import submit
from trainer.slurm.job import SlurmJob
from trainer.slurm.kept import Kept, keep, kept_of, script_file
from trainer.slurm.submit import check_cluster, refuse_here, submit_run, withdraw
from trainer.start import new_pretrain_run, start_run
from trainer.state import run_state
from trainer.store import RunStore
from trainer.store.labels import change_labels
from trainer.store.records import SUBMITTED

JOB = SlurmJob(partition="gpu", cpus=3)


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run that nobody has started."""
    return new_pretrain_run(store, load_preset("demo").config(), preset="demo", name="first run")


def messages(store: RunStore, run_id: str) -> list[str]:
    """What happened to a run."""
    return [event.message for event in store.events(run_id=run_id)]


def test_a_submitted_run_is_queued_with_its_job_and_its_script(store: RunStore, slurm: Slurm, run_id: str) -> None:
    kept = submit_run(store, run_id, JOB, restarts=2)
    assert (kept.job, kept_of(store.runs_path, run_id)) == ("1234", kept)
    run = store.run(run_id)
    assert (run.lifecycle, run.restarts_left) == (SUBMITTED, 2)
    assert run_state(run, store.runs_path) == "queued"
    assert messages(store, run_id)[-1] == "waits in Slurm's queue as job 1234; `scancel 1234` takes it out"
    file = script_file(store.runs_path, run_id)
    assert slurm.script("1234").read_bytes() == file.read_bytes()
    assert "trainer.supervise" in file.read_text()
    # Twice, since a variable wins over the script, and the command line over the variable.
    assert slurm.calls("sbatch") == [["--parsable", *JOB.directives("first run", file.parent), str(file)]]
    assert words_of(file.read_text()) == JOB.directives("first run", file.parent)


def test_what_a_site_adds_and_which_cluster_it_is_are_told(store: RunStore, slurm: Slurm, run_id: str) -> None:
    (slurm.bin / "sbatch").write_text("#!/bin/bash\necho 'sbatch: 95 % of the budget is used.' >&2; echo '77;west'\n")
    submit_run(store, run_id, JOB)
    assert messages(store, run_id)[-2:] == [
        "sbatch said: 95 % of the budget is used",
        "waits in Slurm's queue as job 77; `scancel -M west 77` takes it out",
    ]
    with pytest.raises(TrainerError):
        withdraw(store, store.run(run_id), "stopped")
    assert slurm.calls("scancel") == [["--clusters=west", "77"]]


def test_a_run_that_sbatch_refuses_has_failed_with_its_words_and_can_be_tried_again(
    store: RunStore, slurm: Slurm, run_id: str
) -> None:
    slurm.refuse("sbatch", "sbatch: error: invalid partition specified: gpu\n")
    with pytest.raises(TrainerError) as caught:
        submit_run(store, run_id, JOB)
    sentence = "sbatch did not take first run: invalid partition specified: gpu"
    assert str(caught.value) == f"{sentence}; `simclr-tui resume {run_id} --slurm` tries again"
    assert caught.value.exit_code == ExitCode.FAILED
    assert (store.run(run_id).lifecycle, messages(store, run_id)[-1]) == ("failed", sentence)
    with pytest.raises(UsageError, match="first run trains under Slurm; `simclr-tui resume"):
        start_run(store, run_id)  # on the machine that people log into
    kept = kept_of(store.runs_path, run_id)
    assert kept is not None
    assert (kept.job, kept.asked) == ("", JOB)
    slurm.refuse("sbatch", "")
    assert submit_run(store, run_id, JOB).job == "1234"


def test_a_job_that_can_not_be_noted_is_named(
    store: RunStore, slurm: Slurm, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = keep

    def full_once_it_is_submitted(runs: Path, of: str, kept: Kept) -> None:
        if kept.job:
            raise OSError(28, "No space left on device")
        written(runs, of, kept)

    monkeypatch.setattr(submit, "keep", full_once_it_is_submitted)
    with pytest.raises(StoreError, match=r"is job 1234 of Slurm, .*No space left.*; free some space, and take it out"):
        submit_run(store, run_id, JOB)
    with pytest.raises(UsageError, match="its job is not known; `squeue --me` names it"):
        withdraw(store, store.run(run_id), "stopped")


def test_what_slurm_has_is_not_submitted_or_started_twice(store: RunStore, slurm: Slurm, run_id: str) -> None:
    submit_run(store, run_id, JOB)
    for begin in (lambda: submit_run(store, run_id, JOB), lambda: start_run(store, run_id)):
        with pytest.raises(UsageError, match="first run waits in Slurm's queue as job 1234, and `scancel 1234` takes"):
            begin()
    slurm.set_state("1234", "RUNNING")  # its trainer is coming up
    with pytest.raises(UsageError, match="waits in Slurm's queue"):
        refuse_here(store, store.run(run_id))


def test_what_slurm_has_lost_is_submitted_again_but_not_started_beside_it(
    store: RunStore, slurm: Slurm, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_run(store, run_id, JOB)
    (slurm.folder / "job.1234").unlink()  # `scancel`, or `scontrol` of an administrator
    with pytest.raises(UsageError, match=f"trains under Slurm; `simclr-tui resume {run_id} --slurm` submits it again"):
        start_run(store, run_id)
    assert submit_run(store, run_id, JOB).job == "1235"
    (slurm.folder / "job.1235").unlink()
    monkeypatch.setenv("SLURM_JOB_ID", "9")  # within an allocation it may be started
    refuse_here(store, store.run(run_id))
    monkeypatch.delenv("SLURM_JOB_ID")
    monkeypatch.setenv("PATH", "/nowhere")  # and where the runs are looked at without a cluster
    refuse_here(store, store.run(run_id))


def test_a_run_whose_job_ends_after_a_pause_can_be_submitted_at_once(
    store: RunStore, slurm: Slurm, run_id: str
) -> None:
    submit_run(store, run_id, JOB)
    slurm.set_state("1234", "COMPLETING")
    store.lifecycle(run_id, "paused", "paused on request", exit_code=75)
    assert submit_run(store, run_id, JOB).job == "1235"


def test_a_preempted_run_that_slurm_starts_again_is_left_to_it(store: RunStore, slurm: Slurm, run_id: str) -> None:
    submit_run(store, run_id, JOB)
    store.lifecycle(run_id, "interrupted", "ended by SIGTERM", exit_code=143)
    with pytest.raises(UsageError, match="waits in Slurm's queue"):
        submit_run(store, run_id, JOB)


def test_a_waiting_run_is_taken_out_of_the_queue(store: RunStore, slurm: Slurm, run_id: str) -> None:
    submit_run(store, run_id, JOB)
    assert withdraw(store, store.run(run_id), "stopped") == "1234"
    assert slurm.calls("scancel") == [["1234"]]
    assert slurm.state("1234") == ""
    assert run_state(store.run(run_id), store.runs_path) == "stopped"


def test_a_run_that_can_not_be_taken_out_stays_and_its_job_is_named(
    store: RunStore, slurm: Slurm, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_run(store, run_id, JOB)
    slurm.refuse("scancel", "scancel: error: Kill job error on job id 1234: Access/permission denied")
    with pytest.raises(TrainerError, match="as job 1234, and `scancel 1234` takes it out; Kill job error on job id"):
        withdraw(store, store.run(run_id), "stopped")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="`scancel 1234` takes it out; --slurm: scancel is not on the PATH"):
        withdraw(store, store.run(run_id), "stopped")
    assert store.run(run_id).lifecycle == SUBMITTED


def test_a_run_that_lives_or_is_over_or_in_the_trash_is_not_submitted(
    store: RunStore, slurm: Slurm, run_id: str
) -> None:
    lock = RunLock(store.runs_path, run_id)
    try:
        owner = identity().columns() | {"host": "node7"}
        store.lifecycle(run_id, "started", "started", **owner)
        with pytest.raises(UsageError, match="first run is starting already; pause or stop it first"):
            submit_run(store, run_id, JOB)
    finally:
        lock.release()
    store.lifecycle(run_id, "finished", "finished", exit_code=0)
    with pytest.raises(UsageError, match="first run is finished; there is nothing left to resume"):
        submit_run(store, run_id, JOB)
    store.lifecycle(run_id, "queued", "waits for the CPU", **identity().columns())
    with holder(store.runs_path, run_id), pytest.raises(UsageError, match="first run waits in line already; `simclr"):
        submit_run(store, run_id, JOB)
    change_labels(store, run_id, lambda labels: type(labels)(trashed_at=1.0))
    with pytest.raises(UsageError, match="trash"):
        submit_run(store, run_id, JOB)
    assert slurm.calls("sbatch") == []


def test_a_run_whose_folder_is_closed_to_one_is_refused_as_where_it_is_started_here(
    store: RunStore, slurm: Slurm, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that lets root write everywhere is asked in another's name."""
    closed = store.runs_path / run_id
    closed.mkdir(exist_ok=True)
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != closed)
    for begin in (lambda: submit_run(store, run_id, JOB), lambda: start_run(store, run_id)):
        with pytest.raises(StoreError, match=rf"{run_id}.* cannot be written by you, .*`chmod -R .*` by its owner"):
            begin()
    assert (list(closed.iterdir()), slurm.calls("sbatch")) == ([], [])


def test_without_sbatch_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="--slurm: sbatch is not on the PATH"):
        check_cluster()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"job": "x", "cluster": "", "asked": {}}', '{"job": 1, "cluster": "", "asked": {"gpus": 1}}']
)
def test_what_somebody_wrote_into_the_kept_file_is_a_sentence(
    store: RunStore, slurm: Slurm, run_id: str, text: str
) -> None:
    submit_run(store, run_id, JOB)
    path: Path = script_file(store.runs_path, run_id).with_name("slurm.json")
    assert json.loads(path.read_text())["job"] == "1234"
    path.write_text(text)
    with pytest.raises(UsageError, match="can't be read"):
        kept_of(store.runs_path, run_id)
