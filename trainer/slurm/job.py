"""What a run asks of Slurm: the options of sbatch, checked before anything is made."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.quote import quoted

MOST_GPUS = 64
MOST_CPUS = 1024
LEAST_SIGNAL_SECONDS, MOST_SIGNAL_SECONDS = 30, 65_535
"""Bounds of the time between the signal and the limit; the upper one is sbatch's own."""

SIGNAL_SECONDS = 300
"""The signal's usual time before the limit: a step and a save to a slow disk take a while."""

EARLY_SECONDS = 60
"""By how much Slurm may send the signal too early (sbatch(1), --signal)."""

_GPUS = re.compile(r"(?:[A-Za-z0-9_.\-]+:)?[0-9]{1,3}")
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_UNLIMITED = ("0", "UNLIMITED", "INFINITE")
_OWN = {
    "partition": "--slurm-partition",
    "p": "--slurm-partition",
    "time": "--slurm-time",
    "t": "--slurm-time",
    "gpus": "--slurm-gpus",
    "G": "--slurm-gpus",
    "gpus-per-node": "--slurm-gpus",
    "gpus-per-task": "--slurm-gpus",
    "cpus-per-task": "--slurm-cpus",
    "c": "--slurm-cpus",
    "mem": "--slurm-memory",
    "account": "--slurm-account",
    "A": "--slurm-account",
    "qos": "--slurm-qos",
    "q": "--slurm-qos",
    "signal": "--slurm-signal-seconds",
    "job-name": "--name",
    "J": "--name",
}
"""Options of sbatch that have one of ours."""

_ONE_MACHINE = ("nodes", "N", "ntasks", "n", "ntasks-per-node", "tasks-per-node", "array", "a")
_KEPT = (
    *("chdir", "D", "output", "o", "error", "e", "open-mode", "requeue", "no-requeue", "wrap", "parsable", "wait", "W"),
    *("test-only", "input", "i"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SlurmJob:
    """What a run's job asks for. Empty texts leave it to the cluster."""

    partition: str = ""
    time: str = ""
    """The limit, as sbatch takes it: minutes, hours:minutes:seconds, days-hours and the like."""
    gpus: str = ""
    """How many, with their type before a colon where it matters (`a100:4`). Above 1 each GPU has a process. Nothing
    takes one, or none for a run on the processor."""
    cpus: int = 0
    """Cores of each process; 0 takes one for each loader worker and one more."""
    memory: str = ""
    account: str = ""
    qos: str = ""
    signal_seconds: int = SIGNAL_SECONDS
    """Seconds before the limit at which the trainer is asked to save and end."""
    options: tuple[str, ...] = ()
    """Further options of sbatch, as NAME or NAME=VALUE."""

    def __post_init__(self) -> None:
        """Check what can be checked here; the rest is Slurm's to refuse.

        Raises:
            UsageError: something is out of bounds.
        """
        for name in ("partition", "time", "memory", "account", "qos"):
            _refuse_unprintable(f"--slurm-{name}", getattr(self, name))
        if self.gpus and (not _GPUS.fullmatch(self.gpus) or self.ranks > MOST_GPUS):
            raise UsageError(
                f"--slurm-gpus: {quoted(self.gpus)} is no number of GPUs; give 0 to {MOST_GPUS}, or TYPE:NUMBER"
            )
        if not 0 <= self.cpus <= MOST_CPUS:
            raise UsageError(f"--slurm-cpus: {self.cpus} is out of bounds; give 1 to {MOST_CPUS} cores")
        if not LEAST_SIGNAL_SECONDS <= self.signal_seconds <= MOST_SIGNAL_SECONDS:
            bounds = f"give {LEAST_SIGNAL_SECONDS} to {MOST_SIGNAL_SECONDS} seconds"
            raise UsageError(f"--slurm-signal-seconds: {self.signal_seconds} is out of bounds; {bounds}")
        limit = limit_seconds(self.time) if self.time else None
        if limit is not None and limit <= self.signal_seconds + EARLY_SECONDS:
            raise UsageError(
                f"--slurm-time: {self.time} is too short to be told {self.signal_seconds} s before it ends; give more "
                "time, or a smaller --slurm-signal-seconds"
            )
        for option in self.options:
            _check_option(option)

    @property
    def ranks(self) -> int:
        """How many processes train: one for each GPU, and one without any."""
        return max(self._gpu_count, 1)

    @property
    def has_gpus(self) -> bool:
        """Whether it asks for GPUs."""
        return self._gpu_count > 0

    @property
    def _gpu_count(self) -> int:
        return int(self.gpus.rpartition(":")[2] or 1)

    def settled(self, config: PretrainConfig) -> Self:
        """With the GPUs and the cores that a run with these settings needs, where none were named."""
        gpus = self.gpus or ("0" if config.device == "cpu" else "1")
        return dataclasses.replace(self, gpus=gpus, cpus=self.cpus or config.num_workers + 1)

    def directives(self, name: str, folder: Path) -> list[str]:
        """The options for sbatch, each one word.

        Args:
            name: of the run.
            folder: the run's own, in which the job prints to the run's log. `%` is doubled there, since `%j` and the
                like would be replaced (sbatch(1), filename pattern).
        """
        wanted = {
            "job-name": name,
            "chdir": str(folder),
            "output": str(folder / "log.txt").replace("%", "%%"),
            "open-mode": "append",
            "signal": f"USR1@{self.signal_seconds}",
            "nodes": "1",
            "ntasks-per-node": str(self.ranks),
            "cpus-per-task": str(max(self.cpus, 1)),
            "gres": self._gres(),
            "partition": self.partition,
            "time": self.time,
            "mem": self.memory,
            "account": self.account,
            "qos": self.qos,
        }
        further = [_long(option) for option in self.options if not option.startswith("gres=")]
        return ["--requeue", *(f"--{key}={value}" for key, value in wanted.items() if value), *further]

    def _gres(self) -> str:
        mine = [f"gpu:{self.gpus or 1}"] if self.has_gpus else []
        return ",".join([*mine, *(one.removeprefix("gres=") for one in self.options if one.startswith("gres="))])

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made of one, as it was kept.

        Raises:
            UsageError: somebody changed it to what can't be asked for.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            kept = {name: value for name, value in values.items() if name in known}
            return cls(**{**kept, "options": tuple(kept.get("options", ()))})
        except (TypeError, AttributeError) as error:
            raise UsageError(
                f"what was asked of Slurm before can't be read ({error}); give its options again"
            ) from None


def for_node(config: PretrainConfig, job: SlurmJob) -> PretrainConfig:
    """Settings for the machine that Slurm will choose: its cores, not those of the one that submits.

    With GPUs the device is named, so that a broken one fails the run where `auto` would train on the processor.

    Raises:
        UsageError: the settings name a device that the job does not ask for.
    """
    if config.device == "cpu" and job.has_gpus:
        raise UsageError("--slurm-gpus: --device cpu uses none; give 0, or another --device")
    if config.device not in ("auto", "cpu") and not job.has_gpus:
        raise UsageError(f"--slurm-gpus: --device {config.device} needs a GPU; give 1, or --device cpu")
    device = "cuda" if config.device == "auto" and job.has_gpus else config.device
    return dataclasses.replace(config, device=device, threads=config.threads or job.cpus)


def limit_seconds(text: str) -> int | None:
    """A time limit as sbatch reads it (sbatch(1), --time), in seconds; None where there is none.

    Raises:
        UsageError: it is none.
    """
    if text.upper() in _UNLIMITED:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise UsageError(
            f"--slurm-time: {quoted(text)} is no time limit; give minutes, hours:minutes:seconds or "
            "days-hours:minutes:seconds"
        )
    parts = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return ((int(found["days"]) * 24 + hours) * 60 + minutes) * 60 + seconds
    if len(parts) == 3:
        return (parts[0] * 60 + parts[1]) * 60 + parts[2]
    return parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)  # minutes[:seconds]


def _check_option(option: str) -> None:
    key, _, value = option.partition("=")
    where = f"--slurm-option {quoted(option)}"
    if not _KEY.fullmatch(key):
        raise UsageError(f"{where} is no option of sbatch; give NAME or NAME=VALUE, such as mail-type=END")
    _refuse_unprintable("--slurm-option", value)
    if key in _OWN:
        raise UsageError(f"{where}: {_OWN[key]} says that; give it instead")
    if key == "gres" and "gpu" in value:
        raise UsageError(f"{where}: --slurm-gpus says how many GPUs; leave them out here")
    if key in _ONE_MACHINE:
        raise UsageError(f"{where}: a run is one job on one machine, with a process for each of --slurm-gpus")
    if key in _KEPT:
        raise UsageError(f"{where}: the run's log and its going on depend on what the script says of it; leave it out")


def _long(option: str) -> str:
    key, _, value = option.partition("=")
    if len(key) > 1:
        return f"--{option}"
    return f"-{key}{value}"


def _refuse_unprintable(where: str, text: str) -> None:
    if not text.isprintable():
        raise UsageError(f"{where}: {quoted(text)} can't be written into a script; give printable characters")
