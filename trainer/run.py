"""`python -m trainer.run`: take or make a run, hold its lock, do its job, and say how it ended.

Without --headless (how the dashboard launches it) everything it prints is meant for the run's log.
"""

import argparse
import contextlib
import errno
import faulthandler
import importlib
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from trainer import supervise
from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested, Intent, intent_of
from trainer.device_lock import DeviceLock, let_go_of_all
from trainer.devices import CPU
from trainer.drift import change_settings
from trainer.errors import ExitCode, StoreError, StoreLostError, TrainerError, UsageError
from trainer.fork import new_fork_run
from trainer.job import Job
from trainer.options import given
from trainer.paths import make_runs_dir, runs_dir
from trainer.presets import load_preset
from trainer.process import RunLock, identity, making_runs
from trainer.pulse import Pulse
from trainer.queue import device_setting
from trainer.ranks import is_lost_rank, ranks_of
from trainer.report import duration, make_reporter
from trainer.run_options import run_parser
from trainer.signals import Signals
from trainer.start import new_pretrain_run, only_evaluation
from trainer.store.damage import refuse_damaged
from trainer.store.labels import labels_of
from trainer.store.records import TRAINED_KINDS, Run
from trainer.store.runs import RunStore
from trainer.stored_settings import settings_of
from trainer.supervise import TRACEBACK_NOTE
from trainer.turn import correct, take_device
from trainer.watchdog import HANG_SECONDS
from trainer.watched import Watched

if TYPE_CHECKING:
    from trainer.group import Line

_BEGUN_AT = time.time()
_JOBS = {
    "pretrain": "trainer.pretrain",
    "supervised": "trainer.pretrain",
    "evaluate": "trainer.evaluate",
    "benchmark": "trainer.benchmark.job",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trainer; its exit code (see trainer.errors)."""
    options = run_parser().parse_args(arguments)
    try:
        ranks = ranks_of(os.environ)
    except TrainerError as error:
        _complain(str(error))
        return error.exit_code
    if ranks.is_alone:
        return _run(options, None)
    _prepare_environment()
    # Imported here, since torch takes seconds and most runs have one process.
    from trainer.distributed.follow import follow
    from trainer.group import joined

    if not ranks.leads:
        return follow(ranks)
    with joined(ranks) as line:
        return _run(options, line)


def _end_workers() -> None:
    """End loader workers that are left: they ignore SIGTERM, and the interpreter would wait for them at its end."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _run(options: argparse.Namespace, line: "Line | None") -> int:
    signals = Signals(requeue=options.requeue)
    signals.listen()  # as early as can be: from here on a signal is answered with everything in order
    reporter = make_reporter(headless=options.headless)
    try:
        runs = make_runs_dir(runs_dir(options.runs_dir))
        store = RunStore.open(runs)
        refuse_damaged(store)
        _check(signals)
        run = _find_or_make(store, options)
        lock = RunLock(runs, run.id)
        try:
            # Read again: until the lock was held another trainer may have moved it.
            run = change_settings(store, store.run(run.id), given(options, PretrainConfig), options.accept)
            if options.restart is not None:
                store.update_run(run.id, restarts_left=options.restart)
            if not options.restart:
                unattended = bool(options.resume_or_start)
                control = Control(store, run.id, signals=signals, pulse=Pulse.shared())
                job = Job(run, store, runs, control, reporter, line)
                return _hold(job, unattended=unattended, in_line=options.queue)
        finally:
            store.close()
            lock.release()
            let_go_of_all()
            _end_workers()
        _check(signals)
        flags = {"--headless": options.headless, "--queue": options.queue, "--requeue": options.requeue}
        supervise.become(runs, run.id, [name for name, is_given in flags.items() if is_given])
    except TrainerError as error:
        reporter.close()
        _complain(str(error))
        return error.exit_code
    except EndRequested as end:
        _complain("a signal came before a run was taken up, so nothing was begun")
        return end.intent.exit_code
    finally:
        reporter.close()


def _check(signals: Signals) -> None:
    asked = intent_of(signals)
    if asked is not None:
        raise EndRequested(asked)


def _complain(sentence: str) -> None:
    """Say on stderr why nothing came of it; a terminal or disk that can't take it changes nothing."""
    with contextlib.suppress(OSError):
        print(f"trainer: {sentence}", file=sys.stderr, flush=True)  # noqa: T201


def _find_or_make(store: RunStore, options: argparse.Namespace) -> Run:
    """The run that the command line means; a new one where it names none."""
    if options.run:
        if options.preset or options.name:
            raise UsageError("--run: a run keeps its preset and its name; leave --preset and --name out")
        return store.find(options.run)
    if options.fork:
        if options.preset:
            raise UsageError("--fork: a child has its parent's settings to begin with; leave --preset out")
        more = {"step": options.step, "name": options.name, "fresh_optimizer": options.fresh_optimizer}
        parent = store.find(options.fork)
        return store.run(new_fork_run(store, parent, given(options, PretrainConfig), **more))
    if options.step or options.fresh_optimizer:
        raise UsageError("--step and --fresh-optimizer: only a fork takes them; give --fork RUN, or leave them out")
    name = options.resume_or_start
    with making_runs(store.runs_path):
        if name:
            same = [run for run in store.runs() if run.kind in TRAINED_KINDS and name in (run.id, run.name)]
            found = min(same, key=lambda run: labels_of(store, run.id).trashed_at is not None, default=None)
            if found is not None:
                _check_preset(found, options.preset)
                return found
        settings = given(options, PretrainConfig)
        preset = load_preset(options.preset) if options.preset else None
        config = preset.config(**settings) if preset else PretrainConfig.from_values(settings)
        return store.run(new_pretrain_run(store, config, preset=options.preset, name=options.name or name or ""))


def _check_preset(run: Run, preset: str | None) -> None:
    if preset and preset != run.preset:
        made_with = f"preset {run.preset}" if run.preset else "no preset"
        raise UsageError(f"--preset: {run.name} was made with {made_with}; leave --preset out, or choose another name")


def _hold(job: Job, *, unattended: bool, in_line: bool) -> int:
    """Claim the run whose lock this process holds, and do its job."""
    store, runs, run, control, reporter = job.store, job.runs, job.run, job.control, job.reporter
    if run.lifecycle == "finished":
        reporter.note(f"{run.name} is finished; there is nothing left to do")
        return ExitCode.FINISHED
    if run.lifecycle == "stopped" and unattended:
        reporter.note(f"{run.name} was stopped on request; `simclr-tui resume {run.id}` goes on with it")
        return ExitCode.FINISHED
    again = run.lifecycle not in ("created", "launched", "queued") or run.step is not None
    # What was asked of an earlier trainer is void; what was asked since this one was launched is not.
    store.take_commands(run.id, "outdated", before=run.lifecycle_at if run.lifecycle == "launched" else _BEGUN_AT)
    try:
        device_lock = take_device(job, in_line=in_line)
    except EndRequested as end:
        return _give_way(job, end)
    except Exception as error:
        return _fail(job, error)
    how = "resumed" if again else "started"
    with only_evaluation(store, run):
        message = f"{how} as process {identity().pid} on {identity().host}"
        store.lifecycle(run.id, how, message, phase="starting", **identity().columns())
    reporter.note(f"run {run.id} ({run.name}) {how}")
    warning = store.warning()
    if warning is not None:
        store.event(run.id, "store", warning, level="warning")
        reporter.note(warning)
    job = replace(job, run=store.run(run.id))
    hang_seconds = settings_of(run).get("hang_seconds", HANG_SECONDS)
    with Watched(runs, run.id, control.pulse, hang_seconds=hang_seconds, say=reporter.note):
        return _carry_out(job, device_lock)


def _give_way(job: Job, end: EndRequested) -> int:
    """Record that the run ends because it was asked to; the exit code."""
    job.control.end(end.intent, end.message)
    job.reporter.close()
    job.reporter.note(f"{end.message}; `simclr-tui resume {job.run.id}` goes on")
    return end.intent.exit_code


def _carry_out(job: Job, device_lock: DeviceLock | None) -> int:
    """Do the job of a claimed run and record how it ended; the exit code."""
    store, run, control, reporter = job.store, job.run, job.control, job.reporter
    try:
        _do(job, device_lock)
    except EndRequested as end:
        return _give_way(job, end)
    except Exception as error:
        asked = control.signalled()
        if asked is not None and _is_lost_worker(error):  # a supervisor that ends a job may end its workers first
            control.end(asked, asked.unsaved)
            return asked.exit_code
        if job.line is not None and is_lost_rank(error):
            return _give_way(job, EndRequested(asked or Intent.RANK_LOST, is_saved=False))
        return _fail(job, error)
    store.lifecycle(run.id, "finished", "finished", exit_code=0)
    reporter.close()
    trained = store.run(run.id).trained_seconds if run.kind in TRAINED_KINDS else None
    reporter.note(f"finished run {run.id}" + (f" after {duration(trained)} of training" if trained else ""))
    reporter.note(f"next: `simclr-tui show {run.id}`, or `simclr-tui` to see its charts")
    return ExitCode.FINISHED


def _prepare_environment() -> None:
    """Set what libraries read once, when they start."""
    # cuBLAS reads this once, when CUDA starts; without it some of its kernels are not reproducible.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Threads that spin while they wait for each other make a step several times slower where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _do(job: Job, device_lock: DeviceLock | None) -> None:
    if job.line is not None and job.run.kind not in TRAINED_KINDS:
        raise UsageError(f"torchrun trains with several processes; {job.run.kind} with one: start it without torchrun")
    _prepare_environment()
    # Imported here, since torch takes seconds and a claimed run should be seen at once.
    module = importlib.import_module(_JOBS[job.run.kind])
    job.control.check()
    if device_lock is not None:
        correct(job, device_lock, _device_of_torch(job))
    getattr(module, job.run.kind)(job)


def _device_of_torch(job: Job) -> str:
    """The name (see trainer.devices) of the device that torch takes for the run's settings."""
    import torch

    from trainer.device import choose_device

    chosen = choose_device(device_setting(job.run))
    return f"GPU-{torch.cuda.get_device_properties(chosen).uuid}" if chosen.type == "cuda" else CPU


def _fail(job: Job, error: Exception) -> int:
    """Record why the run failed: a sentence for what a person can mend, a traceback in the log for a bug."""
    ours = error if isinstance(error, TrainerError) else _translate(error)
    code = ours.exit_code if ours else ExitCode.FAILED
    message = str(ours) if ours else f"{type(error).__name__}: {error}; {TRACEBACK_NOTE}"
    if ours is None:
        with contextlib.suppress(OSError):
            traceback.print_exception(error)
    try:
        job.store.lifecycle(job.run.id, "failed", message, level="error", exit_code=int(code))
    except (StoreError, StoreLostError) as second:
        _complain(str(second))
    job.reporter.close()
    _complain(message)
    return code


def _is_lost_worker(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "DataLoader" in str(error)


def _translate(error: Exception) -> TrainerError | None:
    """What torch and the system raise for reasons that a person can mend, as a sentence with the remedy."""
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return TrainerError(
            "--batch-size: the device has too little memory for it; launch a run with a smaller one, with "
            "--cache ram instead of vram, or on another --device"
        )
    if _is_lost_worker(error):
        return TrainerError(
            f"--num-workers: a loader worker was lost ({text.splitlines()[0]}); resume with fewer workers, and look "
            "whether memory or /dev/shm is full"
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return TrainerError(f"the disk is full ({error.filename or 'no file is named'}); free some space and resume")
    return None


def _leave(code: int) -> NoReturn:
    """End the process at once: everything is saved, and loader workers that are still there end with it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # a pipe or a terminal that was closed meanwhile
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    faulthandler.enable()
    _leave(main())
