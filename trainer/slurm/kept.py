"""What is kept of a run's job beside its log: its number, and what it asked for, to ask for it again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from trainer.durable import read_plain_file, write_durably
from trainer.errors import UnknownRunError, UsageError
from trainer.paths import run_dir
from trainer.slurm.job import SlurmJob

_LARGEST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A run's newest job."""

    job: str
    """Slurm's number of it; empty where sbatch did not take it."""
    cluster: str
    """Where there are several, else empty."""
    asked: SlurmJob

    @property
    def cancelling(self) -> str:
        """The command that takes it out of the queue, or ends it."""
        return f"scancel -M {self.cluster} {self.job}" if self.cluster else f"scancel {self.job}"


def script_file(runs: Path, run_id: str) -> Path:
    """The batch script of a run; `sbatch` with it goes on with the run."""
    return run_dir(runs, run_id) / "job.sh"


def keep(runs: Path, run_id: str, kept: Kept) -> None:
    """Write down the run's newest job.

    Raises:
        OSError: the disk refused.
    """
    write_durably(_file(runs, run_id), json.dumps(asdict(kept), indent=2).encode())


def kept_of(runs: Path, run_id: str) -> Kept | None:
    """The run's newest job, or None for a run that was never submitted.

    Raises:
        UsageError: the file was changed to what can't be read.
    """
    try:
        text = read_plain_file(_file(runs, run_id), largest_bytes=_LARGEST_BYTES)
    except (OSError, UnknownRunError):
        return None
    try:
        values = json.loads(text)
        job, cluster = values["job"] and str(int(values["job"])), str(values["cluster"])
        return Kept(job=job, cluster=cluster, asked=SlurmJob.from_values(values["asked"]))
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{_file(runs, run_id)} can't be read ({error}); move it away") from None


def _file(runs: Path, run_id: str) -> Path:
    return run_dir(runs, run_id) / "slurm.json"
