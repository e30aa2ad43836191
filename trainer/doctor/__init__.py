"""Looks at the machine, the runs folder, the store and the runs, and says what to do. Changes nothing, imports no
torch.

The checks are small functions, each of one finding; a group of them that fails itself is one more finding.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trainer.doctor import database, folder, logout, machine, people, places, runs
from trainer.doctor.check import LEVELS, Check, Level
from trainer.doctor.checkpoints import Depth
from trainer.paths import store_file

__all__ = ["LEVELS", "Check", "Depth", "Level", "examine"]

_Finding = Check | Iterable[Check]


def examine(runs_folder: Path, *, depth: Depth = "newest") -> Iterator[tuple[str, Check]]:
    """(group, finding) of everything that can be looked at, as it is found.

    Args:
        runs_folder: may be missing, or anything else.
        depth: whose checkpoints' bytes are read; `sizes` also looks at the store less closely.
    """
    yield from _guarded("machine", _machine(runs_folder))
    there = _first(lambda: folder.is_there(runs_folder))
    yield "runs folder", there
    if there.level == "ok" and os.path.isdir(runs_folder):  # noqa: PTH112 - says no where Path raises
        yield from _guarded("runs folder", _folder(runs_folder))
    if os.path.isdir(runs_folder):  # noqa: PTH112
        yield from _guarded("store", _store(runs_folder, is_quick=depth == "sizes"))
        yield from _guarded("runs", [lambda: runs.checks(runs_folder, runs.read_store(runs_folder), depth=depth)])
    yield from _guarded("logging out", [logout.logging_out])


def _machine(path: Path) -> list[Callable[[], _Finding]]:
    return [
        machine.python_version,
        machine.torch_version,
        machine.gpus,
        machine.energy,
        machine.processors,
        machine.memory,
        machine.shared_memory,
        machine.open_files,
        people.device_locks,
        machine.notices,
        lambda: machine.clock(database.newest_event_at(path)),
    ]


def _folder(path: Path) -> list[Callable[[], _Finding]]:
    return [
        lambda: places.file_system(path),
        lambda: folder.space(path),
        lambda: folder.locks(path),
        lambda: folder.syncing(path),
        lambda: people.checks(path),
    ]


def _store(path: Path, *, is_quick: bool) -> list[Callable[[], _Finding]]:
    return [
        places.sqlite_version,
        lambda: database.checks(path, quick=is_quick),
        lambda: database.journal(store_file(path), is_network=places.is_network(path)),
        lambda: database.backup(
            places.newest_backup_at(path, is_quick=is_quick), has_runs=database.newest_event_at(path) is not None
        ),
    ]


def _guarded(group: str, checks: Iterable[Callable[[], _Finding]]) -> Iterator[tuple[str, Check]]:
    for check in checks:
        try:
            found = check()
            for one in [found] if isinstance(found, Check) else found:
                yield group, one
        except Exception as error:  # what is looked at may be broken in any way, and the rest is to be looked at still
            yield group, _unknown(check, error)


def _first(check: Callable[[], Check]) -> Check:
    return next(itertools.chain(one for _, one in _guarded("", [check])))


def _unknown(check: Callable[[], _Finding], error: Exception) -> Check:
    name = getattr(check, "__name__", "check").strip("<>").replace("_", " ").replace("lambda", "check")
    return Check(name, "unknown", f"it could not be looked at ({type(error).__name__}: {str(error)[:200]})")
