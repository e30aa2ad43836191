"""Runs folders that many tests begin with, made once in a process and copied: making one waits for the disk."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import TypeVar

from trainer.paths import store_file

T = TypeVar("T")


def made_once(build: Callable[[Path], T]) -> Callable[[Path], T]:
    """A builder of runs that works in an empty folder once and copies what came of it to every folder it is given.

    A folder that holds a store already is built on as ever. What is made must name no absolute path.
    """

    @functools.cache
    def original() -> tuple[Path, T]:
        folder = Path(tempfile.mkdtemp(prefix="simclr-tui-made-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder / "runs", build(folder / "runs")

    @functools.wraps(build)
    def copied(runs: Path) -> T:
        if store_file(runs).exists():
            return build(runs)
        made, result = original()
        shutil.copytree(made, runs, dirs_exist_ok=True)
        return deepcopy(result)

    return copied
