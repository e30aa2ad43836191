"""Which loggers a run is mirrored to at every start of its trainer, until it is told otherwise.

A file of the run's folder and no setting: it is no part of a recipe, a fork doesn't have it from its parent, and an
archive doesn't take it to another person's accounts.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from trainer.durable import read_plain_file, write_durably
from trainer.errors import StoreError, UsageError
from trainer.mirror.names import LOGGERS
from trainer.paths import mirrors_dir
from trainer.sharing import make_folder
from trainer.store.reader import StoreReader
from trainer.store.records import TRAINED_KINDS, Run

_FILE = "wanted.json"
_LARGEST_BYTES = 10_000


def want(store: StoreReader, run: Run, names: Sequence[str]) -> None:
    """Mirror a run to these loggers from its next start on, and to no other.

    Raises:
        UsageError: it is a job without curves of its own.
        StoreError: the disk refused.
    """
    if names and run.kind not in TRAINED_KINDS:
        raise UsageError(f"--mirror: {run.name} is of kind {run.kind}, which has no curves; leave it out")
    folder = mirrors_dir(store.runs_path, run.id)
    if not names and not folder.exists():
        return
    try:
        make_folder(folder, exist_ok=True)
        write_durably(folder / _FILE, json.dumps(list(names)).encode())
    except OSError as error:
        raise StoreError(f"{folder / _FILE} cannot be written ({error.strerror}); free some space") from error


def wanted(runs: Path, run_id: str) -> tuple[str, ...]:
    """The loggers that a run is mirrored to; none where nobody asked for it or the file can't be read."""
    try:
        names = json.loads(read_plain_file(mirrors_dir(runs, run_id) / _FILE, largest_bytes=_LARGEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(name for name in LOGGERS if name in names) if isinstance(names, list) else ()
