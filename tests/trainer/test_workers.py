"""Waiting for loader workers: a slow one is waited for, a stuck one is not, and what they raise is passed on."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from trainer import workers
from trainer.config import PretrainConfig
from trainer.control import EndRequested, Intent
from trainer.errors import TrainerError
from trainer.signals import TAKEN
from trainer.workers import WorkerPool


class Answers(Dataset[Tensor]):
    """Answers a number with itself, after something has been done."""

    def __init__(self, do: Any) -> None:
        self.do = do

    def __getitem__(self, request: int) -> Tensor:
        self.do(request)
        return torch.tensor(request)


class Told:
    """A job and its control, as far as workers need them."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.phases: list[str] = []
        self.asked: Intent | None = None
        self.control = self

    def warn(self, kind: str, message: str) -> None:
        assert kind == "loader-rebuilt"
        self.said.append(message)

    def intent(self) -> Intent | None:
        return self.asked

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.phases.append(name)
        yield


def make_pool(do: Any, told: Told, count: int = 2, **changes: Any) -> WorkerPool:
    """A pool of workers."""
    config = PretrainConfig.from_values(changes)
    return WorkerPool(Answers(do), config, workers=count, pin_memory=False, job=told)  # type: ignore[arg-type]


def answers(pool: WorkerPool, count: int = 6) -> list[int]:
    """What it answers to the numbers up to one."""
    return [int(answer) for answer in pool.answers(range(count), lambda k: f"batch {k}")]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are taken for stuck after half a second."""
    monkeypatch.setattr(workers, "_WORKER_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(workers, "_POLL_SECONDS", 0.1)


@pytest.mark.usefixtures("hasty")
def test_a_worker_that_is_only_slow_is_waited_for_in_the_end() -> None:
    """Every batch takes 0.8 s: half a second is too short, twice that is not, and that is remembered."""
    told = Told()
    pool = make_pool(lambda _: time.sleep(0.8), told)
    assert answers(pool, 3) == [0, 1, 2]
    assert len(told.said) == 1
    assert "no loader worker gave a batch for 0 s; the loader was rebuilt at batch 0" in told.said[0]
    assert answers(pool, 3) == [0, 1, 2]
    assert len(told.said) == 1
    pool.close()


@pytest.mark.usefixtures("hasty")
def test_one_that_hangs_for_good_ends_with_a_sentence_after_three_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_LONGEST_PATIENCE", 1)
    told = Told()
    pool = make_pool(lambda request: time.sleep(3600 if request == 3 else 0), told)
    asked = pool.answers(range(6), lambda k: f"batch {k}")
    assert [int(next(asked)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TrainerError, match="--num-workers: no loader worker gave a batch"):
        next(asked)
    assert [message.split("rebuilt at ")[1].split(";")[0] for message in told.said] == [
        "batch 3",
        "batch 3 (2 of 3 times in a row)",
        "batch 3 (3 of 3 times in a row)",
    ]


@pytest.mark.parametrize("lasting", [True, False])
def test_losses_with_a_batch_in_between_are_not_counted_together(lasting: bool) -> None:
    died = torch.zeros(8).share_memory_()

    def die_once(request: int) -> None:
        if not died[request]:
            died[request] = 1
            os.kill(os.getpid(), signal.SIGKILL)

    told = Told()
    pool = make_pool(die_once, told, 1, persistent_workers=lasting, prefetch_factor=1)
    assert answers(pool, 4) == list(range(4))
    assert len(told.said) == 4
    assert all("loader worker 0 (process " in message and "was killed by SIGKILL" in message for message in told.said)
    assert set(told.phases) == {"starting workers"}
    died[:] = 0
    assert answers(pool, 2) == [0, 1]
    pool.close()


def test_a_worker_that_died_between_two_epochs_is_replaced() -> None:
    told = Told()
    pool = make_pool(lambda _: None, told)
    assert answers(pool) == list(range(6))
    assert pool._loader is not None
    worker = pool._loader._iterator._workers[1]  # type: ignore[union-attr]
    worker.kill()
    worker.join()
    assert answers(pool) == list(range(6))
    assert len(told.said) == 1
    pool.close()


def test_what_goes_wrong_in_a_worker_is_no_loss_of_it() -> None:
    def fail(request: int) -> None:
        if request == 2:
            raise RuntimeError("a file is gone")

    told = Told()
    pool = make_pool(fail, told)
    with pytest.raises(RuntimeError, match="a file is gone"):
        answers(pool)
    assert told.said == []
    pool.close()


@pytest.mark.usefixtures("hasty")
def test_where_the_run_was_asked_to_end_it_gives_way_instead_of_waiting() -> None:
    told = Told()
    pool = make_pool(lambda request: time.sleep(3600 if request else 0), told)
    asked = pool.answers(range(6), lambda k: f"batch {k}")
    assert int(next(asked)) == 0
    told.asked = Intent.PAUSE
    with pytest.raises(EndRequested):
        next(asked)
    assert told.said == []
    told.asked = None
    # Asked anew after that was refused: no batch of the old request is met.
    pool._answers.do = lambda _: None  # type: ignore[attr-defined]
    assert answers(pool) == list(range(6))
    pool.close()


def test_no_handler_is_left_that_raises_in_the_middle_of_a_step() -> None:
    before = signal.getsignal(signal.SIGCHLD)
    pool = make_pool(lambda _: None, Told())
    assert answers(pool, 2) == [0, 1]
    assert signal.getsignal(signal.SIGCHLD) == before
    pool.close()


def test_workers_are_begun_with_the_trainers_signals_held_back() -> None:
    """Or a supervisor's SIGTERM to the whole group would end one before it can say that it ignores it."""
    held = torch.zeros(2).share_memory_()

    def look(request: int) -> None:
        held[request] = float(signal.pthread_sigmask(signal.SIG_BLOCK, []) >= TAKEN)

    pool = make_pool(look, Told())
    assert answers(pool, 2) == [0, 1]
    assert held.tolist() == [1, 1]
    pool.close()
