"""Where things lie: the only place where a run's id becomes a path.

runs/runs.db                     the store
runs/<id>/run.lock               held by the run's trainer for as long as it lives
runs/<id>/log.txt                what the trainer printed
runs/<id>/checkpoints/           step-N.pt and step-N.json
runs/<id>/evaluations/step-N/    what evaluations of that step drew and wrote
"""

import os
import re
import secrets
from pathlib import Path

from trainer.errors import StoreError, UnknownRunError

RUNS_DIR_VARIABLE = "SIMCLR_TUI_RUNS"
_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID = re.compile(r"[0-9a-z]{10}")


def new_run_id() -> str:
    """Ten random characters of [0-9a-z]; a person's name for a run never becomes a path."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))


def runs_dir(option: str | None = None) -> Path:
    """The runs folder: the option, else $SIMCLR_TUI_RUNS, else ./runs. Creates nothing."""
    return Path(option or os.environ.get(RUNS_DIR_VARIABLE) or "runs").expanduser().absolute()


def make_runs_dir(path: Path) -> Path:
    """Create the runs folder if need be.

    Raises:
        StoreError: it cannot be created or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"--runs-dir: {path} cannot be made ({error.strerror}); name a folder that you can write"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"--runs-dir: {path} cannot be written; name a folder that you can write")
    return path


def check_runs_dir(path: Path) -> None:
    """See that a runs folder, if it is there, is a folder. Reads only.

    Raises:
        StoreError: it is a file, or lies below one.
    """
    above = next(parent for parent in (path, *path.parents) if parent.exists())
    if not above.is_dir():
        raise StoreError(f"--runs-dir: {above} is a file and no folder; name a folder")


def store_file(runs: Path) -> Path:
    """The SQLite file of a runs folder."""
    return runs / "runs.db"


def run_dir(runs: Path, run_id: str) -> Path:
    """The folder of a run.

    Raises:
        UnknownRunError: the id is not of the form that ids have, or the folder leads out of the runs folder.
    """
    path = runs / run_id
    if not _ID.fullmatch(run_id) or path.resolve().parent != runs.resolve():
        raise UnknownRunError(f"{run_id!r} is not the id of a run; `simclr-tui ls` lists them")
    return path


def lock_file(runs: Path, run_id: str) -> Path:
    """The file whose lock says that the run has a live trainer."""
    return run_dir(runs, run_id) / "run.lock"


def log_file(runs: Path, run_id: str) -> Path:
    """What the run's trainers printed, one after the other."""
    return run_dir(runs, run_id) / "log.txt"


def checkpoint_dir(runs: Path, run_id: str) -> Path:
    """The folder of a run's checkpoints."""
    return run_dir(runs, run_id) / "checkpoints"
