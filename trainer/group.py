"""The group of ranks on PyTorch's own engine, and what its first rank tells the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import IntEnum
from typing import Any

import torch
import torch.distributed as dist

from trainer.errors import ExitCode, TrainerError
from trainer.pace import PACE
from trainer.ranks import Ranks

PATIENCE = timedelta(days=7)
"""How long the others wait for the first one, which evaluates, saves or waits for space meanwhile. Its death is noticed
at once, since gloo's connections end with it, and a step that hangs by the first rank's watchdog."""

_ASIDE = timedelta(seconds=5)
"""How long a question beside the training may take."""


class Word(IntEnum):
    """What the first rank tells the others to do next."""

    END = 0
    BEGIN = 1
    """Hear which run it is, and get ready."""
    STEP = 2
    """Take the step after so many."""


class Line:
    """By which the first rank leads; the others hear what it says, in its order. Messages go over gloo, on the host."""

    def __init__(self, ranks: Ranks, store: Any) -> None:
        """Args: who this process is, and torch's store of this group, which is joined already."""
        self.ranks = ranks
        self.pace = PACE
        self._store = store
        self.is_asked_to_end = False
        """Whether a person or a cluster has asked for what ends this process, and wants no other one in its place."""
        self._is_open = True

    def aside(self, name: str) -> Any:
        """A part of torch's store, by a connection of its own, for a thread that must not hold up what the group does.

        It answers within some seconds, or raises RuntimeError.
        """
        store = dist.PrefixStore(name, self._store.clone())  # type: ignore[attr-defined]
        store.set_timeout(_ASIDE)
        return store

    def say(self, word: Word, number: int = 0) -> None:
        """Tell all others a word and a number."""
        dist.broadcast(torch.tensor([int(word), number]), 0)
        self._is_open = word is not Word.END

    def hear(self) -> tuple[Word, int]:
        """What the first rank says next.

        Raises:
            RuntimeError: (of torch) it is not there any more.
        """
        told = torch.zeros(2, dtype=torch.int64)
        dist.broadcast(told, 0)
        return Word(int(told[0])), int(told[1])

    def share(self, value: Any = None) -> Any:
        """What the first rank has, on every rank; anything that can be pickled."""
        box = [value]
        dist.broadcast_object_list(box, 0)
        return box[0]

    def hear_all(self, problem: TrainerError | None = None) -> TrainerError | None:
        """Whether each rank can take part, on every rank: the problem of the first one that can't, or None.

        Args:
            problem: of this rank.
        """
        said: list[tuple[str, int]] = [("", 0)] * self.ranks.world
        dist.all_gather_object(said, ("", 0) if problem is None else (str(problem), int(problem.exit_code)))
        sentence, code = next((one for one in said if one[0]), ("", 0))
        if not sentence:
            return None
        found = TrainerError(sentence)
        found.exit_code = ExitCode(code)
        return found

    def end(self) -> None:
        """Tell the others that it is over, once. One that is not there any more needs no word."""
        if self._is_open and self.ranks.leads:
            self._is_open = False
            try:
                self.say(Word.END)
            except RuntimeError:
                return


@contextmanager
def joined(ranks: Ranks, patience: timedelta = PATIENCE) -> Iterator[Line]:
    """Be connected with the other ranks: by NCCL for tensors on CUDA devices, by gloo for those on a CPU.

    The others are told that it is over where this ends, however it does.

    Args:
        ranks: who this process is.
        patience: the timeout of the process group.
    """
    # NCCL's part reads it when it is made: without it no event is recorded where a collective begins, and none can be
    # timed (trainer.distributed.collectives).
    os.environ.setdefault("TORCH_NCCL_ENABLE_TIMING", "1")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store, _, _ = next(dist.rendezvous("env://", ranks.rank, ranks.world, timeout=patience))  # type: ignore[attr-defined]
    # torchrun's agent may keep its store over a restart, and with it the addresses of ranks that are gone.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    fresh = dist.PrefixStore(f"attempt-{attempt}", store)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=fresh, rank=ranks.rank, world_size=ranks.world, timeout=patience)
    line = Line(ranks, fresh)
    try:
        yield line
    finally:
        line.end()
        dist.destroy_process_group()
