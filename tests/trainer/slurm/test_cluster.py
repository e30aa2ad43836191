"""Slurm's programs, called: numbers of jobs, refusals and programs that are not there."""

from pathlib import Path

import pytest

from tests.slurm_programs import Slurm
from trainer.errors import ExitCode, TrainerError, UsageError
from trainer.slurm import cluster
from trainer.slurm.cluster import Submitted


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script to submit."""
    path = tmp_path / "job.sh"
    path.write_text("#!/bin/bash\n")
    return path


def test_a_job_is_submitted_and_known_until_it_is_cancelled(slurm: Slurm, script: Path) -> None:
    assert cluster.has_slurm()
    assert cluster.submit(["--requeue", "--job-name=two words"], script) == Submitted(job="1234", cluster="", said="")
    assert slurm.calls("sbatch") == [["--parsable", "--requeue", "--job-name=two words", str(script)]]
    assert cluster.job_state("1234") == "PENDING"
    cluster.cancel("1234")
    assert cluster.job_state("1234") == ""
    assert cluster.job_state("1234", "west") == ""
    assert slurm.calls("squeue")[-1] == ["--noheader", "--jobs=1234", "--format=%T", "--clusters=west"]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("77", ("77", "")),
        ("77;west", ("77", "west")),
        ("Submitted batch job 77", ("77", "")),
        ("Submitted batch job 77 on cluster west", ("77", "west")),
        ("Welcome to 3 clusters\\n77;west", ("77", "west")),
    ],
)
def test_the_number_is_found_in_what_sbatch_says(slurm: Slurm, script: Path, said: str, found: tuple[str, str]) -> None:
    (slurm.bin / "sbatch").write_text(f"#!/bin/bash\necho -e '{said}'\n")
    submitted = cluster.submit([], script)
    assert (submitted.job, submitted.cluster) == found


def test_without_a_number_it_is_said_that_it_is_not_known(slurm: Slurm, script: Path) -> None:
    (slurm.bin / "sbatch").write_text("#!/bin/bash\necho fine\n")
    with pytest.raises(TrainerError, match=r"sbatch gave no job number \(fine\); `squeue --me` says"):
        cluster.submit([], script)


def test_a_refusal_is_in_slurms_own_words(slurm: Slurm, script: Path) -> None:
    slurm.refuse(
        "sbatch", "sbatch: error: invalid partition specified: x\nsbatch: error: Batch job submission failed\n"
    )
    with pytest.raises(TrainerError) as caught:
        cluster.submit([], script)
    assert str(caught.value) == "invalid partition specified: x; Batch job submission failed"
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_controller_that_does_not_answer_tells_nothing_of_a_job(slurm: Slurm) -> None:
    slurm.set_state("5", "RUNNING")
    slurm.refuse("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    assert cluster.job_state("5") is None


def test_a_program_that_is_not_there_is_wrong_usage(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not cluster.has_slurm()
    with pytest.raises(UsageError, match="--slurm: sbatch is not on the PATH; go to a machine of the cluster"):
        cluster.submit([], script)
    assert cluster.job_state("5") is None


def test_a_program_that_hangs_is_given_up(slurm: Slurm, script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_SUBMIT_SECONDS", 0.2)
    (slurm.bin / "sbatch").write_text("#!/bin/bash\nexec sleep 60\n")
    with pytest.raises(TrainerError, match="sbatch gave no answer in 0 s; `squeue --me` says what came of it"):
        cluster.submit([], script)
