"""Where things lie: the only place where a run's id becomes a path.

runs/runs.db                     the store
runs/<id>/run.lock               held by the run's trainer for as long as it lives
runs/<id>/log.txt                what the trainer printed
runs/<id>/under-way.json         which trial a benchmark is at
runs/<id>/checkpoints/           step-N.pt and step-N.json
runs/<id>/evaluations/step-N/    what evaluations of that step drew and wrote
runs/<id>/mirrors/               which loggers mirror the run, and how far each got
runs/<id>/tensorboard/           event files of a run that is mirrored to TensorBoard
runs/mlflow.db                   MLflow's own, where runs are mirrored to it and no server is named
runs/.emptied-<id>/              the folder of a run that is being deleted for good
runs/.import-<id>/               what is unpacked of an archive before its run is there
"""

import os
import re
import secrets
from pathlib import Path

from trainer.errors import StoreError, UnknownRunError, UsageError
from trainer.quote import quoted
from trainer.sharing import make_folder, whose

RUNS_DIR_VARIABLE = "SIMCLR_TUI_RUNS"
CONFIG_VARIABLE = "XDG_CONFIG_HOME"

EMPTIED = ".emptied-"
"""Begins the name of a folder that was a run's and is being deleted."""

BEGUN = ".import-"
"""Begins the name of a folder in which an archive is unpacked."""

_ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_LONGEST_SHOWN = 1000
_ID = re.compile(r"[0-9a-z]{10}")


def new_run_id() -> str:
    """Ten random characters of [0-9a-z]; a person's name for a run never becomes a path."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(10))


def is_run_id(text: str) -> bool:
    """Whether a text has the form of a run's id."""
    return bool(_ID.fullmatch(text))


def runs_dir(option: str | None = None) -> Path:
    """The runs folder: the option, else $SIMCLR_TUI_RUNS, else ./runs. Creates nothing.

    Raises:
        StoreError: it is a text that no path can be.
    """
    text = option or os.environ.get(RUNS_DIR_VARIABLE) or "runs"
    if "\0" in text:
        raise StoreError(f"--runs-dir: {quoted(text)} can't be a path, since it holds a NUL; name a folder")
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, ValueError, OSError) as error:  # ~name of nobody; a folder that is gone
        raise StoreError(f"--runs-dir: {quoted(text)} can't be a path ({error}); name a folder") from error


def config_dir() -> Path:
    """The folder of a person's own settings. Creates nothing.

    Raises:
        UsageError: the user has no home, as in some containers.
    """
    return user_dir(CONFIG_VARIABLE, ".config", what="settings")


def user_dir(variable: str, below_home: str, *, what: str) -> Path:
    """A folder of the program among those of a person (XDG Base Directory Specification). Creates nothing.

    Args:
        variable: of the environment, that names the folder of all programs.
        below_home: that folder where the variable is not set.
        what: it is for.

    Raises:
        UsageError: the user has no home, and the variable is not set.
    """
    try:
        return Path(os.environ.get(variable) or Path.home() / below_home) / "simclr-tui"
    except RuntimeError as error:
        raise UsageError(f"{variable}: this user has no home folder; set it to a folder for {what}") from error


def typed_path(text: str) -> Path:
    """The path that a person means: ~ is their home, ~name that of name, and before the name of nobody a letter."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of that name, or no home
        return path


def home_or_here() -> Path:
    """Where a file goes that is named nowhere: to the user's home, or the working directory of one who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path.cwd()


def make_runs_dir(path: Path) -> Path:
    """Create the runs folder if need be.

    Raises:
        StoreError: it cannot be created or written.
    """
    try:
        make_folder(path, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(
            f"--runs-dir: {_shown(path)} cannot be made ({reason}); name a folder that you can write"
        ) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"--runs-dir: {path}{whose(path)} cannot be written; name a folder that you can write")
    return path


def check_runs_dir(path: Path) -> None:
    """See that a runs folder, if it is there, is a folder. Reads only.

    Raises:
        StoreError: it is a file, or lies below one, or can't be looked at.
    """
    try:
        above = next(parent for parent in (path, *path.parents) if parent.exists())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"--runs-dir: {_shown(path)} can't be used ({reason}); name a folder") from error
    if not above.is_dir():
        raise StoreError(f"--runs-dir: {above} is a file and no folder; name a folder")
    if above == path and not os.access(path, os.R_OK | os.X_OK):
        raise StoreError(f"--runs-dir: {path}{whose(path)} cannot be read by you; name a folder that you can read")


def store_file(runs: Path) -> Path:
    """The SQLite file of a runs folder."""
    return runs / "runs.db"


def run_dir(runs: Path, run_id: str) -> Path:
    """The folder of a run.

    Raises:
        UnknownRunError: the id is not of the form that ids have, or the folder is a link to another place.
    """
    if not is_run_id(run_id):
        raise UnknownRunError(f"{quoted(run_id)} is not the id of a run; `simclr-tui ls` lists them")
    path = runs / run_id
    if path.is_symlink():
        raise UnknownRunError(f"{path} is a link and no folder of its own; put the run's folder itself there")
    return path


def _shown(path: Path) -> str:
    """A path on one line, shortened where no person reads it to its end."""
    text = str(path)
    return text if len(text) <= _LONGEST_SHOWN and text.isprintable() else quoted(text)


def lock_file(runs: Path, run_id: str) -> Path:
    """The file whose lock says that the run has a live trainer."""
    return run_dir(runs, run_id) / "run.lock"


def log_file(runs: Path, run_id: str) -> Path:
    """What the run's trainers printed, one after the other."""
    return run_dir(runs, run_id) / "log.txt"


def under_way_file(runs: Path, run_id: str) -> Path:
    """What a benchmark is at, for a trainer that comes after one that was lost."""
    return run_dir(runs, run_id) / "under-way.json"


def checkpoint_dir(runs: Path, run_id: str) -> Path:
    """The folder of a run's checkpoints."""
    return run_dir(runs, run_id) / "checkpoints"


def mirrors_dir(runs: Path, run_id: str) -> Path:
    """The folder of what is known of a run's mirrors."""
    return run_dir(runs, run_id) / "mirrors"


def tensorboard_dir(runs: Path, run_id: str) -> Path:
    """The folder of the event files that a run's mirror to TensorBoard writes."""
    return run_dir(runs, run_id) / "tensorboard"


def emptied_dir(runs: Path, run_id: str) -> Path:
    """Where the folder of a run is moved to once it is to be deleted for good. Nothing takes it for a run there.

    Raises:
        UnknownRunError: the id is not of the form that ids have.
    """
    return runs / f"{EMPTIED}{run_dir(runs, run_id).name}"


def import_dir(runs: Path, run_id: str) -> Path:
    """Where a run is brought together before it is there. Nothing takes it for a run.

    Raises:
        UnknownRunError: the id is not of the form that ids have.
    """
    return runs / f"{BEGUN}{run_dir(runs, run_id).name}"
