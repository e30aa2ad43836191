"""The options of runs that Slurm starts, for every verb that begins one."""

import argparse
from typing import Any

from trainer.errors import UsageError
from trainer.slurm.job import MOST_CPUS, MOST_GPUS, SIGNAL_SECONDS, SlurmJob

USAGE = "[--slurm [--slurm-partition P] [--slurm-time T] [--slurm-gpus N] …]"

_OPTIONS: dict[str, tuple[str, type, str]] = {
    "partition": ("NAME", str, "partition [default the cluster's]"),
    "time": ("TIME", str, "limit of one job, such as 8:00:00 or 2-0; the run goes on in the next [cluster's]"),
    "gpus": ("N", str, f"GPUs, each with a process of its own; TYPE:N for one type [0 to {MOST_GPUS}; default 1]"),
    "cpus": ("N", int, f"cores of each process [1 to {MOST_CPUS}; default one for each loader worker and one]"),
    "memory": ("SIZE", str, "memory, such as 32G [default the cluster's]"),
    "account": ("NAME", str, "account that is charged [default yours]"),
    "qos": ("NAME", str, "quality of service [default the cluster's]"),
    "signal_seconds": ("S", int, f"seconds before the limit at which the run saves [default {SIGNAL_SECONDS}]"),
}
"""By the names of SlurmJob: what stands for the value, its type, and the help."""


def add_slurm_options(parser: argparse.ArgumentParser) -> None:
    """Add them; what is not named is left to the cluster, or to an earlier submission of the run."""
    group = parser.add_argument_group("Slurm (docs/cluster.md)")
    group.add_argument(
        "--slurm", action="store_true", help="submit a batch script with sbatch instead of starting it on this machine"
    )
    for name, (metavar, kind, text) in _OPTIONS.items():
        option = f"--slurm-{name.replace('_', '-')}"
        group.add_argument(option, dest=f"slurm_{name}", metavar=metavar, type=kind, default=None, help=text)
    group.add_argument(
        "--slurm-option",
        dest="slurm_options",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="any further option of sbatch, such as mail-type=END or exclusive; once for each",
    )


def asked_job(options: argparse.Namespace, before: SlurmJob | None = None) -> SlurmJob | None:
    """What a command line asks of Slurm, or None where it does not ask for Slurm.

    Args:
        options: of the command line.
        before: what the run asked for the last time, for what is not named.

    Raises:
        UsageError: an option does not go without --slurm, or with --queue, or is out of bounds.
    """
    given: dict[str, Any] = {
        name: value for name in _OPTIONS if (value := getattr(options, f"slurm_{name}")) is not None
    }
    if options.slurm_options:
        given["options"] = tuple(one.lstrip("-") for one in options.slurm_options)
    if not options.slurm:
        if given:
            first = next(iter(given)).replace("_", "-").replace("options", "option")
            raise UsageError(f"--slurm-{first}: it says how a job of Slurm is made; add --slurm, or leave it out")
        return None
    if options.queue:
        raise UsageError("--queue: Slurm has a queue of its own; leave --queue out, or --slurm")
    if given.get("cpus") == 0:
        raise UsageError(f"--slurm-cpus: 0 is out of bounds; give 1 to {MOST_CPUS} cores")
    kept = {name: getattr(before, name) for name in (*_OPTIONS, "options")} if before is not None else {}
    return SlurmJob(**{**kept, **given})
