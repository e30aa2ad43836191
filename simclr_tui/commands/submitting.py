"""`launch --slurm` and `resume --slurm`: runs that a cluster's Slurm starts."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from simclr_tui.commands.output import say, say_json
from simclr_tui.commands.slurm_options import asked_job
from simclr_tui.launch.sweep import Planned
from simclr_tui.launch.sweeping import make_runs
from simclr_tui.verbs import refusal
from trainer.config import PretrainConfig
from trainer.drift import change_settings
from trainer.errors import ExitCode, TrainerError, UsageError
from trainer.mirror.names import chosen
from trainer.mirror.wanted import want
from trainer.options import given
from trainer.paths import run_dir
from trainer.people import refuse_anothers
from trainer.presets import chosen_config
from trainer.ranks import Ranks
from trainer.shares import check_shares
from trainer.slurm.job import SlurmJob, for_node
from trainer.slurm.kept import Kept, kept_of, script_file
from trainer.slurm.script import script
from trainer.slurm.submit import check_cluster, submit_run
from trainer.start import checked_name, new_pretrain_run, plain_name, settled_config
from trainer.state import run_state
from trainer.store.filesystem import file_system_type, is_network
from trainer.store.records import TRAINED_KINDS, Run
from trainer.store.runs import RunStore

_NOT_MADE = "0" * 10
"""Stands for the id of a run that is not made, in a script that is only shown."""


def submit_new(options: argparse.Namespace, runs: Path, job: SlurmJob) -> int:
    """Make a run and submit it, or show its script."""
    config = chosen_config(options.preset, given(options, PretrainConfig))
    job = job.settled(config)
    config = _of_node(config, job)
    name = checked_name(options.name) or options.preset or plain_name(config)
    text = _script_of(options, runs, job, name)
    if options.dry_run:
        settled_config(config)  # says what is not there
        return _show(options, runs, job, name, text)
    _check_place(runs)
    loggers = chosen(options)
    with closing(RunStore.open(runs)) as store:
        run_id = new_pretrain_run(store, config, preset=options.preset, name=options.name)
        want(store, store.run(run_id), loggers or ())
        kept = submit_run(store, run_id, job, restarts=options.restart)
        _tell(options, store.run(run_id), runs, kept)
    return ExitCode.FINISHED


def submit_again(options: argparse.Namespace, runs: Path) -> int:
    """Submit a run that is there, as it was submitted before but for the options that are given."""
    loggers = chosen(options)
    with closing(RunStore.open(runs)) as store:
        run = store.find(options.run)
        refuse_anothers(run, options.owner)
        if run.kind not in TRAINED_KINDS:
            raise UsageError(f"--slurm: {run.name} is of kind {run.kind}; only runs that train are submitted")
        sentence = refusal("resume", run.name, run_state(run, runs), kind=run.kind)
        if sentence is not None:
            raise UsageError(sentence)
        kept = kept_of(runs, run.id)
        job = asked_job(options, kept.asked if kept is not None else None)
        assert job is not None
        _check_place(runs)
        run = change_settings(store, run, given(options, PretrainConfig), options.accept)
        config = PretrainConfig.from_json(run.config)
        job = job.settled(config)
        _of_node(config, job)  # says what does not agree; the settings stay those that the run was made with
        if loggers is not None:
            want(store, run, loggers)
        _tell(options, run, runs, submit_run(store, run.id, job, restarts=options.restart))
    return ExitCode.FINISHED


def submit_sweep(options: argparse.Namespace, runs: Path, job: SlurmJob, planned: Sequence[Planned], tag: str) -> int:
    """Make the runs of a sweep and submit each of them; Slurm decides how many train at once."""
    _check_place(runs)
    configs = [chosen_config(options.preset, one.values) for one in planned]
    jobs = [job.settled(config) for config in configs]
    settled = [_of_node(config, its) for config, its in zip(configs, jobs, strict=True)]
    for one, its in zip(planned, jobs, strict=True):
        _script_of(options, runs, its, one.name)
    for_nodes = [
        Planned(one.name, {**one.values, "device": config.device, "threads": config.threads})
        for one, config in zip(planned, settled, strict=True)
    ]
    made: list[dict[str, Any]] = []
    loggers = chosen(options)
    with closing(RunStore.open(runs)) as store:
        ids = make_runs(store, options.preset, for_nodes, tag)
        for run_id, its, one in zip(ids, jobs, planned, strict=True):
            want(store, store.run(run_id), loggers or ())
            try:
                kept = submit_run(store, run_id, its, restarts=options.restart)
            except TrainerError as error:
                raise type(error)(f"{len(made)} of {len(ids)} runs are submitted; {error}") from error
            made.append({"id": run_id, "name": one.name, "job": kept.job})
    if options.json:
        say_json({"tag": tag, "runs": made})
        return ExitCode.FINISHED
    for each in made:
        say(each["id"])
    if sys.stdout.isatty():
        say(
            f"{len(made)} runs wait in Slurm's queue, with the tag {tag}; `simclr-tui ls --filter tag:{tag}` shows them"
        )
    return ExitCode.FINISHED


def _of_node(config: PretrainConfig, job: SlurmJob) -> PretrainConfig:
    """Settings for the machine of a job, which its processes can share.

    Raises:
        ConfigError: several processes can't train with them.
    """
    check_shares(config, config.batch_size, Ranks(world=job.ranks))
    return for_node(config, job)


def _script_of(options: argparse.Namespace, runs: Path, job: SlurmJob, name: str) -> str:
    """The script of a run that is not made; what is wrong with it should be said before one is."""
    folder = run_dir(runs, _NOT_MADE)
    return script(job, name=name, folder=folder, runs=runs, run_id=_NOT_MADE, is_supervised=bool(options.restart))


def _show(options: argparse.Namespace, runs: Path, job: SlurmJob, name: str, text: str) -> int:
    """Print the script of a run that is not made."""
    if options.json:
        say_json({"name": name, "sbatch": job.directives(name, run_dir(runs, _NOT_MADE)), "script": text})
        return ExitCode.FINISHED
    say(text.rstrip("\n"))
    say(f"# Nothing was made: {_NOT_MADE} stands for the run's id. Leave --dry-run out to submit it.")
    return ExitCode.FINISHED


def _check_place(runs: Path) -> None:
    """See that jobs can be submitted, and say so if the runs folder seems to be of this machine alone."""
    check_cluster()
    kind = file_system_type(runs)
    if kind and not is_network(kind):
        warning = f"{runs} lies on {kind}; the cluster's machines must find it at the same path, or name a --runs-dir"
        print(f"simclr-tui: {warning}", file=sys.stderr)  # noqa: T201


def _tell(options: argparse.Namespace, run: Run, runs: Path, kept: Kept) -> None:
    file = str(script_file(runs, run.id))
    if options.json:
        say_json({"id": run.id, "name": run.name, "job": kept.job, "cluster": kept.cluster or None, "script": file})
        return
    say(run.id)
    if sys.stdout.isatty():
        say(
            f"{run.name} waits in Slurm's queue as job {kept.job}; `simclr-tui` shows it, and "
            f"`simclr-tui stop {run.id}` takes it out"
        )
