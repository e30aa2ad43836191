"""Where an export is written: whole or not at all, and over nothing that is there unless that is asked for.

What is made lies beside its place under another name until it is whole, and takes the place in one rename.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.durable import sync
from trainer.errors import TrainerError, UsageError

ABOUT = "run.json"
"""Beside what is exported into a folder: which run it is of. Only a folder that has it is ever written over."""

MADE_BY = "simclr-tui export"

_LONGEST_NAME = 120
"""Bytes of a run's name in a file's name, so that an ending and a hidden name beside it fit in 255."""


def plain_name(name: str) -> str:
    """A run's name as part of a file's name."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
    return plain.lstrip(".").encode()[:_LONGEST_NAME].decode(errors="ignore") or "run"


@contextmanager
def new_folder(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder to write into, which is at `out` once the block has ended without an error.

    Args:
        out: where it is to be.
        force: write over an export that is there.

    Raises:
        UsageError: something is there that is not to be written over.
        TrainerError: the disk refused.
    """
    if os.path.lexists(out):
        _refuse_without(out, force)
        if not is_export(out):
            raise UsageError(f"--out: {out} is there and is no export, so it is left as it is; name another --out")
    made = _beside(out)
    with _telling(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
    try:
        yield made
        with _telling(out):
            _sync_all(made)
            _take_place(made, out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def new_file(out: Path, *, force: bool) -> Iterator[Path]:
    """A path to write a file at, which is at `out` once the block has ended without an error.

    Raises:
        UsageError: something is there that is not to be written over.
        TrainerError: the disk refused.
    """
    if os.path.lexists(out):
        _refuse_without(out, force)
        if out.is_symlink() or not out.is_file():
            raise UsageError(f"--out: {out} is there and is no plain file, so it is left as it is; name another --out")
    made = _beside(out)
    with _telling(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield made
        with _telling(out):
            sync(made)
            if force:
                made.replace(out)
            else:
                _name_anew(made, out)
            sync(out.parent)
    finally:
        made.unlink(missing_ok=True)


def _name_anew(made: Path, out: Path) -> None:
    """Give a file its name, unless somebody has made one of that name meanwhile."""
    try:
        os.link(made, out)
    except FileExistsError:
        _refuse_without(out, force=False)
    except OSError:  # a file system without links
        made.rename(out)


def _refuse_without(out: Path, force: bool) -> None:
    if not force:
        raise UsageError(f"--out: {out} is there already; name another one, or write over it with --force")


def is_export(folder: Path) -> bool:
    """Whether a folder is one that an export has made."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return not folder.is_symlink() and isinstance(about, dict) and about.get("made_by") == MADE_BY


def _beside(out: Path) -> Path:
    return out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")


def _take_place(made: Path, out: Path) -> None:
    """Put a folder in its place; what was there is moved aside first and deleted last."""
    older = _beside(out)
    if os.path.lexists(out):
        out.rename(older)
    try:
        made.rename(out)
    except BaseException:
        with contextlib.suppress(OSError):
            older.rename(out)
        raise
    sync(out.parent)
    shutil.rmtree(older, ignore_errors=True)


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


@contextmanager
def _telling(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(out, error) from error


def unwritable(out: Path, error: OSError) -> TrainerError:
    """The sentence on a place where nothing can be written."""
    reason = error.strerror or str(error)
    if error.filename and str(error.filename) != str(out):
        reason += f", {error.filename}"
    return TrainerError(f"--out: {out} can't be written ({reason}); free some space or name another one")
