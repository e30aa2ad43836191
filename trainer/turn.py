"""How a trainer comes to its device: at once beside others, alone and later from the line, or on the next free GPU.

All of it happens before torch is imported, so that a trainer that waits costs little memory and no GPU, and so that
the choice of a GPU can still be made.
"""

import contextlib
import json
import time
from collections.abc import Sequence

from trainer import devices, queue
from trainer.control import EndRequested, Intent
from trainer.device_lock import DeviceLock, DeviceLockError, hold_alone, open_lock, who
from trainer.errors import BusyError, StoreError
from trainer.evaluate_config import EvaluateConfig
from trainer.job import Job
from trainer.process import identity
from trainer.shares import check_device_of_ranks
from trainer.store.queue import delete_row, take_row
from trainer.store.records import QueueRow

POLL_SECONDS = 1.0
"""How often a waiting trainer looks at the line and the lock."""

_SIGNAL_SECONDS = 0.1
_BEAT_SECONDS = 10.0
"""How often it says that it lives, for readers on other machines."""


def take_device(job: Job, *, in_line: bool) -> DeviceLock | None:
    """Take the device that the run's settings mean, waiting for it if the run is to queue.

    Where several ranks train the run these are the devices of all that are on this machine, and those of ranks
    elsewhere are taken by these ranks themselves (trainer.distributed.follow).

    Evaluations take no lock: they are short, and are asked for while their run trains.

    Returns:
        The lock of this process's own device, shared, but of a benchmark, which keeps its device for itself; None
        where there is none to hold.

    Raises:
        EndRequested: the run was asked to end while it waited.
        BusyError: a benchmark has the device for itself or wants it and others train there, or no GPU is free for
            `next`.
        ConfigError: a run that began on a GPU is to choose from none.
    """
    if job.run.kind not in queue.WAITING_KINDS:
        _settle_evaluation(job)
        return None
    setting = queue.device_setting(job.run)
    check_device_of_ranks(setting, job.ranks)
    there = devices.gpus()
    name = devices.device_name(setting, there)
    if setting == devices.NEXT and not there:
        began_on_cuda = json.loads(job.run.fingerprint or "{}").get("cuda") is not None
        devices.check_next(began_on_cuda, job.run.name)
    try:
        if in_line:
            return _wait(job, name)
        if name == devices.NEXT:
            return _next(job) or _refuse_next()
        if _is_alone(job):
            return hold_alone(job.store, name)
        return _join_all(job, devices.names_on_this_machine(name, there, job.ranks))
    except DeviceLockError as error:
        job.warn("device-lock", str(error))
        return None
    finally:
        _forget_place(job)


def _refuse_next() -> DeviceLock:
    raise devices.no_gpu_is_free(devices.gpus())


def _settle_evaluation(job: Job) -> None:
    if EvaluateConfig.from_json(job.run.config).device != devices.NEXT:
        return
    there = devices.gpus()
    if there:
        best = (devices.free_first(there) or sorted(there, key=lambda gpu: -gpu.free_bytes))[0]
        devices.settle(best)
        job.event("device", f"evaluates on {devices.describe(best.uuid, there)}")


def _is_alone(job: Job) -> bool:
    """Whether nobody else may use the device meanwhile: what others do would be measured too."""
    return job.run.kind == "benchmark"


def _forget_place(job: Job) -> None:
    """A run that trains is in no line, whichever way it came here. A full disk leaves that to the others."""
    if job.control.signalled() is not None:  # it takes its place again when it is resumed
        return
    with contextlib.suppress(StoreError):
        delete_row(job.store, job.run.id)


def _keep_place_of_signalled(job: Job, name: str) -> None:
    """A run whose turn comes while a signal ends it is the next one once it is resumed."""
    if job.control.signalled() is not None:
        with contextlib.suppress(StoreError):
            queue.enqueue(job.store, job.run.id, name, is_first=True)


def _join_all(job: Job, names: Sequence[str]) -> DeviceLock:
    """Take devices beside whoever trains there; the lock of the first one."""
    own, *_ = [_join(job, name) for name in names]
    return own


def _join(job: Job, name: str) -> DeviceLock:
    """Take a device beside whoever trains there."""
    lock = open_lock(name)
    what = devices.describe(name)
    if not lock.share():
        process = lock.other()
        words = who(job.store, process)[0] if process is not None else "another process"
        raise BusyError(f"--device: {what} is held by a benchmark, {words}; wait until it ends, or add --queue")
    process = lock.other()
    if process is not None:
        job.event("device-shared", f"{what} is shared: {who(job.store, process)[0]} uses it too")
    return lock


def _next(job: Job, taken: frozenset[str] = frozenset(), *, in_line: bool = False) -> DeviceLock | None:
    """Take the free GPU with the most free memory, or none; those in `taken` are another run's turn."""
    there = devices.gpus()
    for gpu in devices.free_first(there):
        if gpu.uuid in taken:
            continue
        lock = open_lock(gpu.uuid)
        if lock.try_alone():
            if in_line and not _is_still_meant(job, devices.NEXT, [lock]):
                return None
            devices.settle(gpu)
            verb = "measures" if _is_alone(job) else "trains"
            job.event("device", f"{verb} on {devices.describe(gpu.uuid, there)}, the free GPU with the most memory")
            return _kept(job, lock)
    return None


def _wait(job: Job, name: str) -> DeviceLock:
    """Stand in line until it is this run's turn.

    Raises:
        EndRequested: the run was asked to end.
        DeviceLockError: the locks can't be used, so there is nothing to wait for.
    """
    run_id = job.run.id
    holder = None if name == devices.NEXT else open_lock(name).other()
    used = f", which {who(job.store, holder)[0]} uses" if holder is not None else ""
    message = f"waits for {devices.describe(name)}{used}; `simclr-tui queue` shows the line"
    # Before its row is there: others take away rows of runs that are not said to wait.
    job.store.lifecycle(run_id, "queued", message, **identity().columns())
    queue.enqueue(job.store, run_id, name)
    job.reporter.note(f"run {run_id} ({job.run.name}) {message}")
    look_at, beat_at = 0.0, time.monotonic()
    with job.control.phase("waiting"):
        while True:
            _give_way(job)
            now = time.monotonic()
            if now >= look_at:
                look_at = now + POLL_SECONDS
                name, lock = _look(job, name)
                if lock is not None:
                    _keep_place_of_signalled(job, name)
                    return lock
            if now >= beat_at + _BEAT_SECONDS:
                beat_at = now
                with contextlib.suppress(StoreError):  # a full disk
                    job.store.update_run(run_id, alive_at=time.time())
            job.control.beat()
            time.sleep(_SIGNAL_SECONDS)


def _give_way(job: Job) -> None:
    try:
        intent = job.control.intent()
    except StoreError:
        return  # can't be read right now; a signal is seen without the store
    if intent is not None:
        if intent in (Intent.PAUSE, Intent.STOP):
            with contextlib.suppress(StoreError):
                delete_row(job.store, job.run.id)
        raise EndRequested(intent)


def _look(job: Job, name: str) -> tuple[str, DeviceLock | None]:
    """The device that this run waits for by now, and its lock if it is this run's turn there."""
    try:
        mine, before = queue.ahead(job.store, job.run.id)
        if mine is None:  # somebody took it for dead, for example while it was stopped
            name = devices.device_name(queue.device_setting(job.store.run(job.run.id)), devices.gpus())
            queue.enqueue(job.store, job.run.id, name)
            return name, None
    except StoreError:
        return name, None  # locked or full right now; a line may last for days
    if mine.device != name:
        name = mine.device
        job.reporter.note(f"{job.run.name} waits for {devices.describe(name)} now")
    return name, _turn(job, name, mine, before)


def _turn(job: Job, name: str, mine: QueueRow, before: list[QueueRow]) -> DeviceLock | None:
    """The lock of a device if it is this run's turn there, else None."""
    ahead = frozenset(row.device for row in before)
    if mine.is_held or name in ahead:
        return None
    if name == devices.NEXT:
        return _next(job, taken=ahead, in_line=True)
    if devices.NEXT in ahead and any(gpu.uuid == name for gpu in devices.free_first(devices.gpus())):
        return None  # whoever takes the next free GPU was here first, and takes this one
    there = devices.gpus() if job.ranks.local_world > 1 else []  # a look at NVML, once a second for days
    locks = _all_alone(devices.names_on_this_machine(name, there, job.ranks))
    if not locks or not _is_still_meant(job, name, locks):
        return None
    own, *_ = [_kept(job, lock) for lock in locks]
    return own


def _all_alone(names: Sequence[str]) -> list[DeviceLock]:
    """The locks of devices, all of them or none: who kept some would keep others from them while it waits."""
    locks = [open_lock(name) for name in names]
    if all(lock.try_alone() for lock in locks):
        return locks
    for lock in locks:
        lock.let_go()
    return []


def _is_still_meant(job: Job, name: str, locks: Sequence[DeviceLock]) -> bool:
    """Whether the run was not sent to another device in the moment that its turn came; from now on it can't be."""
    try:
        is_meant = take_row(job.store, job.run.id, name)
    except StoreError:  # a full disk, on which nobody can have sent it away either
        return True
    if not is_meant:
        for lock in locks:
            lock.let_go()
    return is_meant


def _kept(job: Job, lock: DeviceLock) -> DeviceLock:
    """A lock that this run has alone, let go as far as others may join it."""
    if not _is_alone(job):
        lock.try_shared()
    return lock


def correct(job: Job, lock: DeviceLock | None, actual: str) -> None:
    """Also take the lock of the device that torch found, where that is another one than NVML let expect.

    The first lock is kept: whoever expects the same would otherwise believe that the device is free.

    Args:
        job: the job.
        lock: what `take_device` gave.
        actual: name of the device that is trained on: `cpu`, or torch's UUID of the GPU.
    """
    is_known = lock is None or lock.name == actual or not lock.name.startswith(("GPU-", devices.CPU))
    if is_known or lock is None:
        return
    expected = devices.describe(lock.name)
    job.warn("device-lock", f"torch trains on {devices.describe(actual)} where NVML led to expect {expected}")
    try:
        if _is_alone(job):
            hold_alone(job.store, actual)
        else:
            open_lock(actual).share()
    except DeviceLockError as error:
        job.warn("device-lock", str(error))
