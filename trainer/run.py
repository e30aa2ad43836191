"""`python -m trainer.run`: take or make a run, hold its lock, do its job, and say how it ended.

Without --headless (how the dashboard launches it) everything it prints is meant for the run's log.
"""

import argparse
import contextlib
import faulthandler
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested
from trainer.errors import ExitCode, StoreError, TrainerError, UnknownRunError, UsageError
from trainer.job import Job
from trainer.options import OptionParser, add_settings, given
from trainer.paths import make_runs_dir, runs_dir
from trainer.presets import load_preset, preset_names
from trainer.process import RunLock, identity
from trainer.report import Reporter, duration, make_reporter
from trainer.start import change_settings, new_pretrain_run
from trainer.store.records import Run
from trainer.store.runs import RunStore

_JOBS = {"pretrain": "trainer.pretrain", "evaluate": "trainer.evaluate"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trainer; its exit code (see trainer.errors)."""
    options = _parser().parse_args(arguments)
    reporter = make_reporter(headless=options.headless)
    try:
        runs = make_runs_dir(runs_dir(options.runs_dir))
        store = RunStore.open(runs)
        run = _find_or_make(store, options)
        lock = RunLock(runs, run.id)
        try:
            if run.kind == "pretrain":
                run = change_settings(store, run, given(options, PretrainConfig))
            return _hold(store, runs, run, reporter, unattended=bool(options.resume_or_start))
        finally:
            store.close()
            lock.release()
    except TrainerError as error:
        reporter.close()
        print(f"trainer: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return error.exit_code
    finally:
        reporter.close()


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="python -m trainer.run",
        description="SimCLR pretraining and linear evaluation, with everything it does in the run store.",
        epilog="Exit codes: 0 finished or stopped on request, 1 failed, 2 wrong usage or settings, 75 paused or could "
        "not start now, 130 and 143 ended by SIGINT and SIGTERM with everything saved.",
    )
    run = parser.add_argument_group("Run")
    run.add_argument("--headless", action="store_true", help="show progress on this terminal")
    run.add_argument("--runs-dir", metavar="DIR", help="runs folder [default $SIMCLR_TUI_RUNS, else ./runs]")
    run.add_argument(
        "--preset", metavar=f"{{{','.join(preset_names())}}}", help="settings to begin with [default stl10]"
    )
    run.add_argument("--name", default="", metavar="NAME", help="what to call the run [default made from its settings]")
    which = run.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="go on with this run; it must exist")
    which.add_argument(
        "--resume-or-start", metavar="NAME", help="go on with this run if it exists, else start one of that name"
    )
    add_settings(parser, PretrainConfig)
    return parser


def _find_or_make(store: RunStore, options: argparse.Namespace) -> Run:
    """The run that the command line means; a new one where it names none."""
    settings = given(options, PretrainConfig)
    wanted = options.run or options.resume_or_start
    if options.run and (options.preset or options.name):
        raise UsageError("--run: a run keeps its preset and its name; leave --preset and --name out")
    if wanted:
        try:
            return store.find(wanted)
        except UnknownRunError:
            if options.run:
                raise
            options.name = options.name or wanted
    preset = load_preset(options.preset) if options.preset else None
    config = preset.config(**settings) if preset else PretrainConfig.from_values(settings)
    return store.run(new_pretrain_run(store, config, preset=options.preset, name=options.name))


def _hold(store: RunStore, runs: Path, run: Run, reporter: Reporter, *, unattended: bool) -> int:
    """Claim the run whose lock this process holds, and do its job."""
    if run.lifecycle == "finished":
        reporter.note(f"{run.name} is finished; there is nothing left to do")
        return ExitCode.FINISHED
    if run.lifecycle == "stopped" and unattended:
        reporter.note(f"{run.name} was stopped on request; `simclr-tui resume {run.id}` goes on with it")
        return ExitCode.FINISHED
    control = Control(store, run.id)
    control.listen()
    again = run.lifecycle not in ("created", "launched") or run.step is not None
    store.take_commands(run.id, "outdated")
    store.lifecycle(
        run.id,
        "resumed" if again else "started",
        f"{'resumed' if again else 'started'} as process {identity().pid} on {identity().host}",
        **identity().columns(),
    )
    reporter.note(f"run {run.id} ({run.name}) {'resumed' if again else 'started'}")
    job = Job(store.run(run.id), store, runs, control, reporter)
    try:
        _do(job)
    except EndRequested as end:
        control.end(end.intent)
        reporter.close()
        reporter.note(f"{end.intent.message}; `simclr-tui resume {run.id}` goes on")
        return end.intent.exit_code
    except Exception as error:
        return _fail(job, error)
    store.lifecycle(run.id, "finished", "finished", exit_code=0)
    reporter.close()
    reporter.note(f"finished run {run.id} after {duration(store.run(run.id).trained_seconds or 0)} of training")
    reporter.note(f"next: `simclr-tui show {run.id}`, or `simclr-tui` to see its charts")
    return ExitCode.FINISHED


def _do(job: Job) -> None:
    # cuBLAS reads this once, when CUDA starts; without it some of its kernels are not reproducible.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Threads that spin while they wait for each other make a step several times slower where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Imported here, since torch takes seconds and a claimed run should be seen at once.
    module = importlib.import_module(_JOBS[job.run.kind])
    getattr(module, job.run.kind)(job)


def _fail(job: Job, error: Exception) -> int:
    """Record why the run failed: a sentence for what a person can mend, a traceback in the log for a bug."""
    is_ours = isinstance(error, TrainerError)
    code = error.exit_code if isinstance(error, TrainerError) else ExitCode.FAILED
    message = str(error) if is_ours else f"{type(error).__name__}: {error}; the traceback is in the run's log"
    if not is_ours:
        traceback.print_exception(error)
    try:
        job.store.lifecycle(job.run.id, "failed", message, level="error", exit_code=int(code))
    except StoreError as second:
        print(f"trainer: {second}", file=sys.stderr, flush=True)  # noqa: T201
    job.reporter.close()
    print(f"trainer: {message}", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _leave(code: int) -> NoReturn:
    """End the process at once: everything is saved, and loader workers that are still there end with it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a pipe or a terminal that was closed meanwhile
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    faulthandler.enable()
    _leave(main())
