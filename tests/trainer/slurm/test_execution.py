"""Batch scripts that are executed: a real trainer in a job, signalled as Slurm would, and started again as Slurm would.

Slurm's own programs are stand-ins; the shell, the script, the trainer, the store and the signals are real.
"""

import dataclasses
import signal
from pathlib import Path

import pytest

from tests.reliability.trainers import WAIT_SECONDS, until
from tests.slurm_programs import Slurm
from trainer.config import PretrainConfig
from trainer.presets import load_preset
from trainer.slurm.job import SlurmJob
from trainer.slurm.submit import submit_run
from trainer.start import new_pretrain_run
from trainer.state import run_state
from trainer.store import RunStore

TINY = {
    "limit_per_class": 8,
    "limit_test_per_class": 4,
    "image_size": 16,
    "batch_size": 10,
    "num_workers": 0,
    "threads": 1,
    "knn_every": 0,
    "validate_every": 0,
    "health_every": 0,
    "evaluate_at_end": False,
    "device": "cpu",
}


pytestmark = pytest.mark.usefixtures("no_trainer_is_left")


def submitted(store: RunStore, job: SlurmJob, **changes: object) -> str:
    """A tiny demo in Slurm's queue."""
    config: PretrainConfig = load_preset("demo").config(**{**TINY, **changes})
    run_id = new_pretrain_run(store, config, preset="demo", name="first")
    submit_run(store, run_id, dataclasses.replace(job, cpus=1))
    return run_id


def test_a_job_whose_time_is_up_saves_is_queued_again_and_ends_in_the_next_one(
    store: RunStore, slurm: Slurm, runs: Path
) -> None:
    run_id = submitted(store, SlurmJob(gpus="0"), epochs=20)
    script = slurm.script("1234")
    job = slurm.begin(script)
    until(lambda: store.last_step(run_id) >= 3)
    slurm.signal_tasks(signal.SIGUSR1)
    assert job.wait(WAIT_SECONDS) == 0
    step = store.last_step(run_id)
    assert slurm.calls("scontrol") == [["requeue", "1234"]]
    assert store.checkpoints(run_id)[0].step == step
    assert run_state(store.run(run_id), runs) == "queued"

    assert slurm.begin(script).wait(WAIT_SECONDS) == 0
    assert len(slurm.calls("scontrol")) == 1
    assert run_state(store.run(run_id), runs) == "finished"
    kinds = [event.kind for event in store.events(run_id=run_id)]
    lifecycle = [kind for kind in kinds if kind in ("submitted", "started", "interrupted", "resumed", "finished")]
    assert lifecycle == ["submitted", "started", "interrupted", "submitted", "resumed", "finished"]
    assert all(
        event.message.endswith(", in job 1234 of Slurm")
        for event in store.events(run_id=run_id)
        if event.kind in ("started", "resumed")
    )
    log = (runs / run_id / "log.txt").read_text()
    assert log.index("job 1234 is queued again") < log.index("resumed") < log.index("finished run")


def test_a_job_that_fails_for_good_is_not_queued_again(
    store: RunStore, slurm: Slurm, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control, which Slurm would start again and again: a run that began on a GPU, on a machine that shows none."""
    run_id = submitted(store, SlurmJob(gpus="0"), device="next")
    store.update_run(run_id, fingerprint='{"cuda": "12.8"}')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert slurm.begin(slurm.script("1234")).wait(WAIT_SECONDS) == 2
    assert slurm.calls("scontrol") == []
    assert run_state(store.run(run_id), runs) == "failed"


def test_a_deleted_run_ends_its_job_and_begins_nothing(store: RunStore, slurm: Slurm, runs: Path) -> None:
    run_id = submitted(store, SlurmJob(gpus="0"))
    store.connection.execute("DELETE FROM runs")
    store.connection.commit()
    assert slurm.begin(slurm.script("1234")).wait(WAIT_SECONDS) == 2
    assert (slurm.calls("scontrol"), store.runs()) == ([], [])
    assert f"no run has the id or name '{run_id}'" in (runs / run_id / "log.txt").read_text()


def test_a_run_that_was_stopped_meanwhile_ends_its_job(store: RunStore, slurm: Slurm, runs: Path) -> None:
    run_id = submitted(store, SlurmJob(gpus="0"))
    store.lifecycle(run_id, "stopped", "stopped on request", exit_code=0)
    assert slurm.begin(slurm.script("1234")).wait(WAIT_SECONDS) == 0
    assert (slurm.calls("scontrol"), store.run(run_id).lifecycle) == ([], "stopped")


@pytest.mark.reliability
def test_two_processes_of_one_job_save_and_go_on_together(store: RunStore, slurm: Slurm, runs: Path) -> None:
    run_id = submitted(store, SlurmJob(gpus="2"), epochs=400)
    job = slurm.begin(slurm.script("1234"))
    until(lambda: store.last_step(run_id) >= 3)
    slurm.signal_tasks(signal.SIGUSR1)
    assert job.wait(WAIT_SECONDS) == 0
    step = store.last_step(run_id)
    assert slurm.calls("scontrol") == [["requeue", "1234"]]
    job = slurm.begin(slurm.script("1234"))
    until(lambda: store.last_step(run_id) > step)
    store.request(run_id, "stop")
    assert job.wait(WAIT_SECONDS) == 0
    assert len(slurm.calls("scontrol")) == 1
    assert run_state(store.run(run_id), runs) == "stopped"
