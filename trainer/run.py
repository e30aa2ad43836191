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
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from trainer import supervise
from trainer.config import PretrainConfig
from trainer.control import Control, EndRequested, Intent, intent_of
from trainer.device_lock import DeviceLock, let_go_of_all
from trainer.devices import CPU
from trainer.drift import change_settings
from trainer.errors import ExitCode, StoreError, StoreLostError, TrainerError, UsageError
from trainer.exit_file import ExitFile
from trainer.job import Job
from trainer.mirror.beside import Mirrors
from trainer.mirror.names import chosen
from trainer.mirror.wanted import want
from trainer.notices.start import Notices
from trainer.options import given
from trainer.paths import make_runs_dir, runs_dir
from trainer.people import by_whom
from trainer.process import RunLock, identity
from trainer.pulse import Pulse
from trainer.queue import device_setting
from trainer.ranks import is_lost_rank, ranks_of, starts_again
from trainer.report import duration, make_reporter
from trainer.run_options import run_parser
from trainer.signals import Signals
from trainer.start import only_evaluation
from trainer.store.damage import refuse_damaged
from trainer.store.records import SUBMITTED, TRAINED_KINDS
from trainer.store.runs import RunStore
from trainer.stored_settings import settings_of
from trainer.supervise import TRACEBACK_NOTE
from trainer.turn import correct, take_device
from trainer.wanted_run import find_or_make
from trainer.watchdog import HANG_SECONDS
from trainer.watched import Watched

if TYPE_CHECKING:
    from trainer.group import Line

MIRROR_SECONDS = 10.0
"""A trainer on a terminal or in a container gives its mirrors so long to hand on the last figures before it ends."""

_BEGUN_AT = time.time()
_JOBS = {
    "pretrain": "trainer.pretrain",
    "supervised": "trainer.pretrain",
    "evaluate": "trainer.evaluate",
    "benchmark": "trainer.benchmark.job",
}


@dataclass(frozen=True, slots=True)
class Companions:
    """Who goes along with a trainer and tells others of its run."""

    mirrors: Mirrors
    notices: Notices


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trainer; its exit code (see trainer.errors)."""
    options = run_parser().parse_args(arguments)
    try:
        ranks = ranks_of(os.environ)
    except TrainerError as error:
        _complain(str(error))
        return error.exit_code
    if ranks.is_alone:
        return _recorded(options, None)
    _prepare_environment()
    # Imported here, since torch takes seconds and most runs have one process.
    from trainer.distributed.follow import follow
    from trainer.group import joined

    if not ranks.leads:
        return follow(ranks)
    with joined(ranks) as line:
        return _recorded(options, line)


def _recorded(options: argparse.Namespace, line: "Line | None") -> int:
    """Run one trainer, and write its exit code where that is asked for; the code that this process ends with."""
    try:
        if options.restart and line is not None:
            raise UsageError("--restart: torchrun starts ranks again by its own --max-restarts; leave it out")
        if options.restart and options.exit_file:
            raise UsageError("--exit-file: a trainer that is started again ends with its code itself; leave it out")
        exit_file = ExitFile(options.exit_file)
    except TrainerError as error:
        _complain(str(error))
        return error.exit_code
    code = _run(options, line)
    try:
        exit_file.write(code)
    except OSError as error:
        _complain(f"--exit-file: it can't be written ({error.strerror}); the exit code is {code}")
    # What somebody has paused is not started again by a launcher that takes every code but 0 for a crash.
    is_over = line is not None and line.is_asked_to_end and starts_again(os.environ)
    return ExitCode.FINISHED if is_over else code


def _end_workers() -> None:
    """End loader workers that are left: they ignore SIGTERM, and the interpreter would wait for them at its end."""
    for worker in multiprocessing.active_children():
        worker.kill()


def _run(options: argparse.Namespace, line: "Line | None") -> int:
    signals = Signals(requeue=options.requeue)
    signals.listen()  # as early as can be: from here on a signal is answered with everything in order
    reporter = make_reporter(headless=options.headless)
    mirrors = Mirrors()
    try:
        loggers = chosen(options)
        runs = make_runs_dir(runs_dir(options.runs_dir))
        store = RunStore.open(runs)
        refuse_damaged(store)
        _check(signals)
        run = find_or_make(store, options)
        lock = RunLock(runs, run.id)
        notices = Notices()
        try:
            # Read again: until the lock was held another trainer may have moved it.
            run = change_settings(store, store.run(run.id), given(options, PretrainConfig), options.accept)
            if options.restart is not None:
                store.update_run(run.id, restarts_left=options.restart)
            if loggers is not None:
                want(store, run, loggers)
            if not options.restart:
                unattended = bool(options.resume_or_start) or options.requeue
                control = Control(store, run.id, signals=signals, pulse=Pulse.shared())
                job = Job(run, store, runs, control, reporter, line)
                return _hold(job, Companions(mirrors, notices), unattended=unattended, in_line=options.queue)
        finally:
            store.close()
            lock.release()
            let_go_of_all()
            _end_workers()
            mirrors.wait(MIRROR_SECONDS if options.headless else 0, signals)
            notices.linger()
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


def _hold(job: Job, beside: Companions, *, unattended: bool, in_line: bool) -> int:
    """Claim the run whose lock this process holds, and do its job."""
    store, runs, run, control, reporter = job.store, job.runs, job.run, job.control, job.reporter
    if run.lifecycle == "finished":
        reporter.note(f"{run.name} is finished; there is nothing left to do")
        return ExitCode.FINISHED
    if run.lifecycle == "stopped" and unattended:
        reporter.note(f"{run.name} was stopped on request; `simclr-tui resume {run.id}` goes on with it")
        return ExitCode.FINISHED
    again = run.lifecycle not in ("created", SUBMITTED, "launched", "queued") or run.step is not None
    # What was asked of an earlier trainer is void; what was asked since this one was launched is not.
    store.take_commands(run.id, "outdated", before=run.lifecycle_at if run.lifecycle == "launched" else _BEGUN_AT)
    beside.notices.begin(job)
    try:
        device_lock = take_device(job, in_line=in_line)
    except EndRequested as end:
        return _give_way(job, end)
    except Exception as error:
        return _fail(job, error)
    how = "resumed" if again else "started"
    with only_evaluation(store, run):
        message = f"{how} as process {identity().pid} on {identity().host}{_in_job()}{by_whom(run)}"
        store.lifecycle(run.id, how, message, phase="starting", **identity().columns())
    reporter.note(f"run {run.id} ({run.name}) {how}")
    warning = store.warning()
    if warning is not None:
        store.event(run.id, "store", warning, level="warning")
        reporter.note(warning)
    job = replace(job, run=store.run(run.id))
    hang_seconds = settings_of(run).get("hang_seconds", HANG_SECONDS)
    with (
        Watched(runs, run.id, control.pulse, hang_seconds=hang_seconds, say=reporter.note),
        beside.mirrors.beside(runs, job.run, lambda sentence: job.event("mirror", sentence, level="warning")),
    ):
        return _carry_out(job, device_lock)


def _in_job() -> str:
    """Which job of Slurm this is a part of, by which its cluster knows it."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return f", in job {job} of Slurm" if job.isdecimal() else ""


def _give_way(job: Job, end: EndRequested) -> int:
    """Record that the run ends because it was asked to; the exit code."""
    if job.line is not None:
        job.line.is_asked_to_end = end.intent in (Intent.PAUSE, Intent.REQUEUE)
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
