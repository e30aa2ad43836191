"""Slurm's own programs, called: what they refuse is their words in our sentence."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import TrainerError, UsageError

_SUBMIT_SECONDS = 300.0
_ASK_SECONDS = 30.0
_STATE = re.compile(r"[A-Z_]+")
_JOB = re.compile(r"(?:Submitted batch job )?(?P<job>\d+)(?:;(?P<cluster>\S+)| on cluster (?P<other>\S+))?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitted:
    """What sbatch answered."""

    job: str
    """Its number."""
    cluster: str
    """Where there are several, else empty."""
    said: str
    """What it or the site added, such as a warning; empty where it said nothing."""


def has_slurm() -> bool:
    """Whether jobs can be submitted from this machine."""
    return shutil.which("sbatch") is not None


def submit(options: Sequence[str], script: Path) -> Submitted:
    """Submit a batch script.

    Args:
        options: given again beside the script that has them, since a variable such as SBATCH_PARTITION would otherwise
            win over the script (sbatch(1), input environment variables).
        script: the file.

    Raises:
        UsageError: there is no sbatch here.
        TrainerError: it refused, in its own words, or said nothing that is a job's number.
    """
    out, said = _call(["sbatch", "--parsable", *options, str(script)], _SUBMIT_SECONDS)
    # A site's own wrapper may print a greeting before it.
    found = [match for line in out.splitlines() if (match := _JOB.fullmatch(line.strip()))]
    if not found:
        raise TrainerError(f"sbatch gave no job number ({_one_line(out)}); `squeue --me` says whether it was submitted")
    return Submitted(job=found[-1]["job"], cluster=found[-1]["cluster"] or found[-1]["other"] or "", said=said)


def job_state(job: str, cluster: str = "") -> str | None:
    """Slurm's word for a job that waits or runs, such as PENDING; "" for one that is over, None if it can't be told."""
    where = [f"--clusters={cluster}"] if cluster else []
    try:
        out, _ = _call(["squeue", "--noheader", f"--jobs={job}", "--format=%T", *where], _ASK_SECONDS)
    except UsageError:
        return None
    except TrainerError as error:
        return "" if "Invalid job id" in str(error) else None
    states = [line.strip() for line in out.splitlines() if _STATE.fullmatch(line.strip())]
    return states[-1] if states else ""


def is_preempted(job: str) -> bool:
    """Whether Slurm has taken a running job's machine for another one, and gives it its GraceTime; False if unknown."""
    try:
        out, _ = _call(["squeue", "--noheader", f"--jobs={job}", "--Format=PreemptTime:40,State:20"], _ASK_SECONDS)
    except TrainerError:
        return False
    words = out.split()
    return len(words) == 2 and words[0] != "N/A" and words[1] == "RUNNING"


def cancel(job: str, cluster: str = "") -> None:
    """Take a job out of the queue, or end it.

    Raises:
        UsageError: there is no scancel here.
        TrainerError: it refused.
    """
    _call(["scancel", *([f"--clusters={cluster}"] if cluster else []), job], _ASK_SECONDS)


def requeue(job: str) -> None:
    """Put a job that runs back into the queue; it ends at once, also who calls this from within.

    Raises:
        UsageError: there is no scontrol here.
        TrainerError: it refused.
    """
    _call(["scontrol", "requeue", job], _ASK_SECONDS)


def _call(words: Sequence[str], seconds: float) -> tuple[str, str]:
    """What a program printed, and what it said beside that on one line.

    Raises:
        UsageError: it is not on this machine.
        TrainerError: it can't be run, took too long, or ended with an error.
    """
    program = words[0]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except FileNotFoundError:
        remedy = "go to a machine of the cluster that has Slurm's programs, or leave --slurm out"
        raise UsageError(f"--slurm: {program} is not on the PATH; {remedy}") from None
    except subprocess.TimeoutExpired:
        raise TrainerError(f"{program} gave no answer in {seconds:.0f} s; `squeue --me` says what came of it") from None
    except OSError as error:
        raise TrainerError(f"{program} can't be run ({error.strerror}); look at the PATH") from error
    if done.returncode:
        raise TrainerError(_one_line(done.stderr) or f"{program} ended with code {done.returncode} and no word")
    return done.stdout, _one_line(done.stderr)


def _one_line(text: str) -> str:
    """What a program said on one line, without its own name before each sentence."""
    said = [re.sub(r"^\w+: (error: |fatal: )?", "", line.strip()) for line in text.splitlines() if line.strip()]
    return "; ".join(line.rstrip(".") for line in said)
