"""Which checkpoints are kept, and reading one back to know that it is there.

Only a checkpoint that was read back with the bytes that were meant counts. If one that does not verify were counted
among the newest that are kept, the last good one could be deleted for it. torchtitan refuses to keep one checkpoint
alone for the like reason ("the last one may be in the process of being saved").
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Kept(Protocol):
    """What of a checkpoint decides whether it is kept; trainer.store.records.Checkpoint has it."""

    @property
    def step(self) -> int:
        """The step that it was written after."""
        ...

    @property
    def reason(self) -> str:
        """Why it was written."""
        ...

    @property
    def knn_top1(self) -> float | None:
        """The online kNN score of its weights."""
        ...

    @property
    def verified_at(self) -> float | None:
        """When its bytes were last found right, None if never."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """What a run keeps of its checkpoints."""

    newest: int
    """How many of the newest, 1 or more."""
    milestones: bool
    """Whether those at the end of every so many epochs stay for good."""
    pinned: frozenset[int]
    """Steps that a person asked to keep."""


def surplus(rows: Iterable[Kept], retention: Retention) -> list[int]:
    """Steps whose checkpoints need not be kept any longer, the oldest first.

    What was never verified is neither counted nor named: nothing is known of it.
    """
    return [step for step, words in reasons(rows, retention).items() if not words]


def reasons(rows: Iterable[Kept], retention: Retention) -> dict[int, list[str]]:
    """Why each verified checkpoint is kept, by step and in words; an empty list where it need not be.

    The best is the one of the highest kNN score, of equal ones the newer.
    """
    verified = sorted((row for row in rows if row.verified_at is not None), key=lambda row: row.step)
    newest = {row.step for row in verified[-retention.newest :]}
    scored = [(row.knn_top1, row.step) for row in verified if row.knn_top1 is not None]
    best = max(scored)[1] if scored else None
    rules: dict[str, Callable[[Kept], bool]] = {
        "newest": lambda row: row.step in newest,
        "best": lambda row: row.step == best,
        "milestone": lambda row: retention.milestones and row.reason == "milestone",
        "pinned": lambda row: row.step in retention.pinned,
    }
    return {row.step: [word for word, holds in rules.items() if holds(row)] for row in verified}


def reads_back(path: Path, size_bytes: int, sha256: str) -> bool:
    """Whether a file has the bytes that were written, from its size and SHA-256.

    The kernel is asked to forget the pages that it has cached of it first (posix_fadvise(2), POSIX_FADV_DONTNEED). It
    does so for those that are on the disk already, as they are after fsync; on a local disk the bytes then come from
    the device. Its own cache may still answer in the place of the medium, and a file system in memory has nowhere else
    to read from. Read from the page cache, it shows that this process wrote what it meant to, not that the medium kept
    it.

    A file that can't be read is one that has not.
    """
    try:
        with path.open("rb", buffering=0) as file:
            with contextlib.suppress(OSError, AttributeError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            digest, length = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    except OSError:
        return False
    return length == size_bytes and digest == sha256
