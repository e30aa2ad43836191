"""What a run asks of Slurm: bounds, sbatch's options, and the settings of the machine that it gets."""

from pathlib import Path
from typing import Any

import pytest

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.slurm.job import SlurmJob, for_node, limit_seconds

FOLDER = Path("/shared/runs/0123456789")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:30:15", 5415),
        ("2-0", 172_800),
        ("2-3", 183_600),
        ("2-3:30", 185_400),
        ("2-3:30:15", 185_415),
        ("0", None),
        ("unlimited", None),
    ],
)
def test_a_limit_is_read_as_sbatch_reads_it(text: str, seconds: int | None) -> None:
    """The seven forms of sbatch(1), --time."""
    assert limit_seconds(text) == seconds


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"time": "an hour"}, "--slurm-time: 'an hour' is no time limit; give minutes"),
        ({"time": "1:2:3:4"}, "--slurm-time: '1:2:3:4' is no time limit"),
        ({"time": "6"}, "--slurm-time: 6 is too short to be told 300 s before it ends"),
        ({"gpus": "two"}, "--slurm-gpus: 'two' is no number of GPUs; give 0 to 64, or TYPE:NUMBER"),
        ({"gpus": "65"}, "--slurm-gpus: '65' is no number of GPUs"),
        ({"gpus": "a100"}, "--slurm-gpus: 'a100' is no number of GPUs"),
        ({"cpus": -1}, "--slurm-cpus: -1 is out of bounds; give 1 to 1024 cores"),
        ({"signal_seconds": 5}, "--slurm-signal-seconds: 5 is out of bounds; give 30 to 65535 seconds"),
        ({"partition": "a\n#SBATCH --uid=0"}, "--slurm-partition: 'a\\n#SBATCH --uid=0' can't be written"),
        ({"options": ("mail-type=\nEND",)}, "--slurm-option: '\\nEND' can't be written into a script"),
        ({"options": ("mail type",)}, "--slurm-option 'mail type' is no option of sbatch"),
        ({"options": ("partition=x",)}, "--slurm-option 'partition=x': --slurm-partition says that"),
        ({"options": ("gres=gpu:8",)}, "--slurm-option 'gres=gpu:8': --slurm-gpus says how many GPUs"),
        ({"options": ("nodes=2",)}, "--slurm-option 'nodes=2': a run is one job on one machine"),
        ({"options": ("no-requeue",)}, "--slurm-option 'no-requeue': the run's log and its going on depend on"),
        ({"options": ("output=x",)}, "--slurm-option 'output=x': the run's log and its going on depend on"),
    ],
)
def test_what_can_not_be_asked_for_is_a_sentence(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        SlurmJob(**values)
    assert words in str(caught.value)


def test_a_limit_that_leaves_time_for_the_signal_is_taken() -> None:
    assert SlurmJob(time="7").time == "7"
    assert SlurmJob(time="3", signal_seconds=60).time == "3"


def test_options_are_those_of_sbatch_and_nothing_is_said_of_what_was_not_asked() -> None:
    job = SlurmJob().settled(PretrainConfig(num_workers=3))
    assert job.directives("first", FOLDER) == [
        "--requeue",
        "--job-name=first",
        "--chdir=/shared/runs/0123456789",
        "--output=/shared/runs/0123456789/log.txt",
        "--open-mode=append",
        "--signal=USR1@300",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=4",
        "--gres=gpu:1",
    ]


def test_everything_that_was_asked_is_said() -> None:
    job = SlurmJob(
        partition="gpu",
        time="1-0",
        gpus="a100:4",
        cpus=8,
        memory="32G",
        account="physics",
        qos="long",
        signal_seconds=120,
        options=("mail-type=END,FAIL", "exclusive", "C=volta", "gres=lscratch:100"),
    )
    assert job.directives("first", FOLDER)[5:] == [
        "--signal=USR1@120",
        "--nodes=1",
        "--ntasks-per-node=4",
        "--cpus-per-task=8",
        "--gres=gpu:a100:4,lscratch:100",
        "--partition=gpu",
        "--time=1-0",
        "--mem=32G",
        "--account=physics",
        "--qos=long",
        "--mail-type=END,FAIL",
        "--exclusive",
        "-Cvolta",
    ]


def test_without_gpus_none_are_asked_for() -> None:
    assert not any("gres" in word for word in SlurmJob(gpus="0").directives("first", FOLDER))


def test_a_run_on_the_processor_asks_for_none_unless_they_are_named() -> None:
    on_cpu = PretrainConfig(device="cpu")
    assert (SlurmJob().settled(on_cpu).gpus, SlurmJob().settled(PretrainConfig()).gpus) == ("0", "1")
    assert SlurmJob(gpus="2").settled(on_cpu).gpus == "2"


def test_a_run_has_the_cores_of_its_job_and_names_its_device() -> None:
    job = SlurmJob(cpus=6)
    config = for_node(PretrainConfig(), job)
    assert (config.threads, config.device) == (6, "cuda")
    assert for_node(PretrainConfig(threads=2, device="cuda"), job).threads == 2
    assert for_node(PretrainConfig(), SlurmJob(gpus="0", cpus=6)).device == "auto"


@pytest.mark.parametrize(
    ("device", "gpus", "words"),
    [("cpu", "1", "--device cpu uses none; give 0"), ("cuda", "0", "--device cuda needs a GPU; give 1")],
)
def test_a_device_that_the_job_does_not_have_is_refused(device: str, gpus: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        for_node(PretrainConfig(device=device), SlurmJob(gpus=gpus, cpus=1))
    assert words in str(caught.value)
