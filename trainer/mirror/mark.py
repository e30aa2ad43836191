"""How far a mirror got: a small file beside the run, written after what it tells of has been handed over."""

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.durable import read_plain_file, write_durably
from trainer.errors import StoreError
from trainer.exclusive import only_one
from trainer.paths import mirrors_dir
from trainer.sharing import make_folder

Reached = dict[str, tuple[Any, ...]]
"""The key of the last row of each table that was handed on."""

_VERSION = 1
_LARGEST_BYTES = 1 << 20


@dataclass(slots=True)
class Mark:
    """What a mirror knows of what it did before."""

    reached: Reached = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    """What the logger's sink keeps for itself."""


def mark_file(runs: Path, run_id: str, name: str) -> Path:
    """The mark of a run's mirror to a logger."""
    return mirrors_dir(runs, run_id) / f"{name}.json"


def mirror_log(runs: Path, run_id: str, name: str) -> Path:
    """What the mirror and the logger's own package printed."""
    return mirrors_dir(runs, run_id) / f"{name}.log"


def read_mark(path: Path) -> Mark:
    """The mark at a path; that of a mirror that did nothing yet where there is none, or none that can be read."""
    try:
        found = json.loads(read_plain_file(path, largest_bytes=_LARGEST_BYTES))
        if found["version"] != _VERSION:
            return Mark()
        return Mark({table: tuple(key) for table, key in found["reached"].items()}, dict(found["own"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Mark()


def write_mark(path: Path, mark: Mark) -> None:
    """Write it so that a crash leaves the older one or this one.

    Raises:
        OSError: the disk refused.
    """
    content = {"version": _VERSION, "reached": mark.reached, "own": mark.own}
    write_durably(path, json.dumps(content).encode())


def only_mirror(runs: Path, run_id: str, name: str) -> AbstractContextManager[None]:
    """Be the only mirror of a run to a logger, since two would write everything twice.

    Raises:
        StoreError: the run's folder can't be written; and as `only_one` does.
    """
    folder = mirrors_dir(runs, run_id)
    try:
        make_folder(folder, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written ({error.strerror}); check its permissions") from error
    told = f"a mirror of run {run_id} to {name} is at work already; it ends by itself once the run has ended"
    return only_one(folder / f"{name}.lock", told=told)
