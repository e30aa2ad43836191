"""Loader workers that are replaced when one dies or hangs, at the batch that was waited for.

torch's DataLoader ends training with such a worker (pytorch #8976, #21554, #96629), and its iterator must not be asked
on: it would leave out the batches that the lost worker had. Here all workers are ended and new ones are asked for the
same batches again; as no worker holds anything random, they give the same bits.
"""

import contextlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trainer.config import PretrainConfig
from trainer.control import EndRequested
from trainer.errors import TrainerError
from trainer.job import Job
from trainer.proc import die_with_parent
from trainer.signals import held_back

T = TypeVar("T")
_WORKER_TIMEOUT_SECONDS = 120.0
"""Without a batch for so long the workers are taken for stuck. Each time they are it doubles, since they may only be
slow: a batch of large pictures on a network disk takes as long as it takes."""
_LONGEST_PATIENCE = 4
"""Times that it may be lengthened to."""
_POLL_SECONDS = 0.5
_ANSWER_SECONDS = 10.0
"""Within so long idle workers say that they have heard of a new epoch."""
_REAPED_SECONDS = 1.0
"""A worker's connection is cut before the kernel tells its parent that it is dead; within so long it does."""
_REBUILDS = 3
"""How often workers are replaced without a batch in between."""


class _LostError(Exception):
    """Workers that can't be waited for any longer; the message says which and why."""


class _Schedule(Sampler[Any]):
    """The requests of the epoch that is under way; a DataLoader with lasting workers reads it anew each epoch."""

    def __init__(self) -> None:
        self.requests: Sequence[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(self.requests)

    def __len__(self) -> int:
        return len(self.requests)


@dataclass(slots=True)
class _Patience:
    seconds: float

    def lengthen(self, longest: float) -> None:
        self.seconds = min(longest, 2 * self.seconds)


class WorkerPool:
    """Answers requests for batches in order, in so many processes or, with 0 of them, in this one."""

    def __init__(
        self, answers: Dataset[Tensor], config: PretrainConfig, *, workers: int, pin_memory: bool, job: Job | None
    ) -> None:
        """Args: what answers a request, the settings of group Loader, the number of processes, whether batches are
        copied to page-locked memory, and whom a lost worker is told to."""
        self._answers = answers
        self._config = config
        self._workers = workers
        self._pin_memory = pin_memory
        self._job = job
        self._schedule = _Schedule()
        self._loader: DataLoader[Tensor] | None = None
        self._patience = _Patience(_WORKER_TIMEOUT_SECONDS)

    def close(self) -> None:
        """End the workers. A process that leaves without this waits for them in vain: they ignore SIGTERM."""
        self._loader = None

    def answers(self, requests: Sequence[Any], where: Callable[[int], str]) -> Iterator[Tensor]:
        """The answers to requests, in order.

        Args:
            requests: one for each batch.
            where: names the batch of a request by its number, for people.

        Raises:
            EndRequested: the run was asked to end while it waited; it may, being between two steps.
            TrainerError: workers were lost again and again.
        """
        done, losses = 0, 0
        iterator: Any = None
        try:
            while done < len(requests):
                try:
                    with self._starting_workers() if iterator is None else contextlib.nullcontext():
                        if iterator is None:
                            iterator = self._begin(requests[done:])
                        images = self._wait(iterator)
                except _LostError as lost:
                    self._end(iterator)
                    iterator = None
                    losses += 1
                    self._tell(str(lost), where(done), losses)
                else:
                    done, losses = done + 1, 0
                    yield images
        finally:
            if done < len(requests):  # what was asked for ahead must not be met by the next epoch
                self._end(iterator)

    def _starting_workers(self) -> AbstractContextManager[None]:
        if self._job is None or not self._workers:
            return contextlib.nullcontext()
        return self._job.control.phase("starting workers")

    def _begin(self, requests: Sequence[Any]) -> Any:
        """An iterator over the answers; lasting workers are told of the new requests.

        Raises:
            _LostError: a worker died meanwhile.
        """
        if self._loader is None:
            self._loader = _quietly(self._make_loader)
        self._schedule.requests = requests
        lasting = getattr(self._loader, "_iterator", None)
        dead = _dead_workers(lasting)
        if dead:
            self._end(lasting)
            raise _LostError(dead)
        before = signal.getsignal(signal.SIGCHLD)
        try:
            if lasting is not None:
                lasting._timeout = _ANSWER_SECONDS
            with held_back():
                iterator = _quietly(self._loader.__iter__)
        except RuntimeError as error:
            self._end(lasting)
            if _is_about_workers(error):
                raise _LostError(_dead_workers(lasting) or f"a loader worker was lost ({error})") from error
            raise
        finally:
            # torch's handler raises wherever the process is, in the middle of an update too. What it tells of is found
            # by asking, while a batch is waited for.
            with contextlib.suppress(ValueError):  # not the main thread, where no handler was set either
                signal.signal(signal.SIGCHLD, before)
        if self._workers:
            iterator._timeout = _POLL_SECONDS
        return iterator

    def _make_loader(self) -> DataLoader[Tensor]:
        config, some = self._config, self._workers > 0
        return DataLoader(
            self._answers,
            sampler=self._schedule,
            batch_size=None,
            num_workers=self._workers,
            collate_fn=_as_it_is,
            pin_memory=self._pin_memory,
            persistent_workers=config.persistent_workers and some,
            prefetch_factor=config.prefetch_factor if some else None,
            timeout=_ANSWER_SECONDS if some else 0,
            worker_init_fn=_start_worker,
            # Without its own generator an iterator draws its base seed from the global one (Megatron-Bridge #5257).
            generator=torch.Generator(),
        )

    def _wait(self, iterator: Any) -> Tensor:
        """The next batch.

        Raises:
            EndRequested: the run was asked to end.
            _LostError: a worker died, or none answered for too long.
        """
        deadline = time.monotonic() + self._patience.seconds
        while True:
            try:
                images: Tensor = next(iterator)
            except (RuntimeError, OSError, EOFError) as error:
                if not self._workers:
                    raise
                self._give_way()
                is_cut_off = isinstance(error, ConnectionError | EOFError)
                dead = _dead_workers(iterator, within=_REAPED_SECONDS if is_cut_off else 0.0)
                if dead:
                    raise _LostError(dead) from error
                if str(error).startswith("DataLoader timed out"):
                    self._check_patience(deadline)
                    continue
                if _is_about_workers(error) or is_cut_off:
                    raise _LostError(f"a loader worker was lost ({error})") from error
                raise
            else:
                return images

    def _give_way(self) -> None:
        intent = self._job.control.intent() if self._job else None
        if intent is not None:
            raise EndRequested(intent)

    def _check_patience(self, deadline: float) -> None:
        if time.monotonic() < deadline:
            return
        waited = self._patience.seconds
        self._patience.lengthen(_LONGEST_PATIENCE * _WORKER_TIMEOUT_SECONDS)
        raise _LostError(f"no loader worker gave a batch for {waited:.0f} s")

    def _end(self, iterator: Any) -> None:
        """End all workers at once, also those that ignore SIGTERM or hang."""
        workers = getattr(iterator, "_workers", [])
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
        self._loader = None

    def _tell(self, what: str, where: str, losses: int) -> None:
        remedy = "look whether memory or /dev/shm is full"
        if losses > _REBUILDS:
            raise TrainerError(
                f"--num-workers: {what} at {where}, and so did those that replaced them {_REBUILDS} times; resume with "
                f"fewer workers, and {remedy}"
            )
        if self._job is not None:
            number = f" ({losses} of {_REBUILDS} times in a row)" if losses > 1 else ""
            self._job.warn("loader-rebuilt", f"{what}; the loader was rebuilt at {where}{number}; {remedy}")


def _dead_workers(iterator: Any, *, within: float = 0.0) -> str:
    """Which workers are dead and of what, in words; empty where all live for so many seconds."""
    workers = getattr(iterator, "_workers", [])
    deadline = time.monotonic() + within
    while all(worker.is_alive() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    words = []
    for number, worker in enumerate(workers):
        if worker.is_alive():
            continue
        code = worker.exitcode
        how = f"exited with code {code}"
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                how = f"was killed by {signal.Signals(-code).name}"
        hint = ", as the kernel does when memory is full" if code == -signal.SIGKILL else ""
        words.append(f"loader worker {number} (process {worker.pid}) {how}{hint}")
    return " and ".join(words)


def _is_about_workers(error: Exception) -> bool:
    """Whether it is the loader's own error, not one that a worker met and handed on."""
    return isinstance(error, RuntimeError) and str(error).startswith(("DataLoader worker (pid", "DataLoader timed out"))


def _quietly(action: Callable[[], T]) -> T:
    """Do it without torch's warning of more workers than cores: a person asked for them, and whether they are too
    many is measured and not guessed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        return action()


def _as_it_is(batch: Any) -> Any:
    return batch


def _start_worker(_worker: int) -> None:
    """Leave ending to the trainer, and never outlive it.

    A supervisor's SIGTERM reaches every process of a job. A worker that died of it would have to be replaced, before
    the step that is under way could be followed by the last checkpoint.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()
